// A file of a test's own, removed when the test ends.
#pragma once

#include <cstdio>
#include <string>

namespace plate::test {

class Scratch {
  public:
    explicit Scratch(const std::string& content);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace plate::test
