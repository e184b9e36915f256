// The outer structure of an `.nb` file, looked at before the library is: some damaged files crash it.
#pragma once

#include <string>

namespace plate {

struct NbFile {
    std::string opt_version;  // of the tool that wrote it
    int x86_kernels = 0;      // operators that it has for each target
    int arm_kernels = 0;
};

// Throws Error(kModel) when `path` is not a complete `.nb` file of a format that Paddle Lite 2.13 reads.
NbFile check_nb_file(const std::string& path);

// Throws Error(kModel) when the file has operators for the other kind of CPU: the library may load such a file all the
// same, and compute nothing.
void check_nb_target(const std::string& path, const NbFile& file);

}  // namespace plate
