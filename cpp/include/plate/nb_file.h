// The outer structure of an `.nb` file, looked at before the library is: some damaged files crash it.
#pragma once

#include <string>

namespace plate {

// Throws Error(kModel) when `path` is not a complete `.nb` file of a format that Paddle Lite 2.13 reads.
// Returns the version of the opt tool that wrote it.
std::string check_nb_file(const std::string& path);

}  // namespace plate
