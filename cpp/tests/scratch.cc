#include "scratch.h"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace plate::test {

Scratch::Scratch(const std::string& content) {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder != nullptr ? folder : "/tmp") + "/plate_tests.XXXXXX";
    const int file = mkstemp(path_.data());
    const bool written =
        file >= 0 && write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    if (file >= 0) close(file);
    if (!written) throw std::runtime_error("cannot write " + path_);
}

Scratch::~Scratch() {
    std::remove(path_.c_str());
}

}  // namespace plate::test
