#include "plate/host_info.h"

#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "build_info.h"

namespace plate {
namespace {

// The number after `Name:` in /proc/self/status, -1 when there is none.
long status_number(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.compare(0, name.size(), name) == 0) return std::strtol(line.c_str() + name.size(), nullptr, 10);
    }
    return -1;
}

}  // namespace

Memory memory() {
    return {status_number("VmRSS:"), status_number("VmHWM:")};
}

int thread_count() {
    return static_cast<int>(status_number("Threads:"));
}

std::vector<int> affinity() {
    std::vector<int> cpus;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<std::string> cpu_features() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        const std::size_t colon = line.find(':');
        const bool flags = line.compare(0, 5, "flags") == 0 || line.compare(0, 8, "Features") == 0;
        if (!flags || colon == std::string::npos) continue;
        std::vector<std::string> features;
        std::istringstream words(line.substr(colon + 1));
        for (std::string word; words >> word;) features.push_back(word);
        return features;
    }
    return {};
}

const char* abi() {
#if defined(__ANDROID__) && defined(__aarch64__)
    return "android-arm64";
#elif defined(__ANDROID__) && defined(__arm__)
    return "android-armv7";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__arm__)
    return "armhf";
#elif defined(__x86_64__)
    return "x86_64";
#else
    return "unknown";
#endif
}

const char* compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char* build_flags() {
    return PLATE_BUILD_FLAGS;
}

const char* program_version() {
    return PLATE_VERSION;
}

}  // namespace plate
