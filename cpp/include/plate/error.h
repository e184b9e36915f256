// Failures that end the program, each with the exit code that docs and callers rely on.
#pragma once

#include <stdexcept>
#include <string>

namespace plate {

enum class ExitCode : int {
    kOk = 0,
    kUsage = 2,
    kConfig = 3,  // config, dictionary or list file
    kModel = 4,   // model file, or Paddle Lite itself
    kImages = 5,  // some images could not be read; the others were processed
    kOutput = 6,  // nobody reads what is printed, or the disk is full
};

class Error : public std::runtime_error {
  public:
    Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    ExitCode code() const noexcept { return code_; }

  private:
    ExitCode code_;
};

// One photo that cannot be read. The program goes on with the next one.
class ImageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace plate
