// What the program can learn about itself and its machine while it runs (Linux).
#pragma once

#include <string>
#include <vector>

namespace plate {

struct Memory {
    long rss_kb = -1;  // resident now
    long hwm_kb = -1;  // most that ever was resident
};

Memory memory();
int thread_count();                       // of this process; -1 when unknown
std::vector<int> affinity();              // CPUs on which the calling thread may run
std::vector<std::string> cpu_features();  // flags that /proc/cpuinfo gives for the first CPU
const char* abi();                        // x86_64, arm64, armhf, android-arm64, android-armv7
const char* compiler();
const char* build_flags();
const char* program_version();

}  // namespace plate
