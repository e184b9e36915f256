// Which photos a command reads.
#pragma once

#include <string>
#include <vector>

#include "plate/args.h"

namespace plate {

// The words that are not options, and the lines of `--list`. Throws Error(kUsage) when there is none.
std::vector<std::string> photos(const Args& args);

}  // namespace plate
