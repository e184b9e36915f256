// When the runtime library dies by a signal, say so in one line and leave with the exit code of a runtime error.
#pragma once

#include <string>

namespace plate {

// While one of these lives, a fatal signal (segmentation fault, illegal instruction, abort ...) prints
// `plate_ocr: error: <what>: signal N (...)` and ends the program with the code of a model error. Scopes nest.
class CrashScope {
  public:
    explicit CrashScope(const std::string& what);
    ~CrashScope();
    CrashScope(const CrashScope&) = delete;
    CrashScope& operator=(const CrashScope&) = delete;

  private:
    std::string line_;
    const char* outer_;
};

// Installs the handlers; called once by the program. Tests and sanitizers see the raw signals.
void install_crash_handlers();

}  // namespace plate
