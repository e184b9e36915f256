// The program's commands. Each takes its words, prints its lines, and returns the exit code or throws.
#pragma once

#include <string>
#include <vector>

#include "plate/error.h"

namespace plate {

using Words = std::vector<std::string>;

ExitCode command_run(const Words& words);
ExitCode command_bench(const Words& words);
ExitCode command_infer(const Words& words);
ExitCode command_version(const Words& words);

// Chooses the command, prints errors as one line on standard error. Never throws.
int run_program(int argc, char** argv);

}  // namespace plate
