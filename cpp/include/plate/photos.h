// Which photos a command shall read.
#pragma once

#include <string>
#include <vector>

#include "plate/args.h"

namespace plate {

// The words that are no options, and the lines of `--list`. Throws Error(kUsage) when there is none.
std::vector<std::string> photos(const Args& args);

}  // namespace plate
