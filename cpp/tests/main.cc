// plate_tests [PART]                                runs the tests whose name contains PART, all without it
// plate_tests --list | --fingerprint
// plate_tests --decode FOLDER [--scale N] FILE...   see modes.h
// plate_tests --decode-stb FOLDER FILE...
// plate_tests --parse KIND FILE...
// plate_tests --read GRAMMAR DICTIONARY PROBABILITIES STEPS
// plate_tests --stage NAME REPEATS WIDTH HEIGHT
#include <cstring>
#include <exception>

#include "harness.h"
#include "modes.h"

namespace plate::test {

int failures = 0;

std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

}  // namespace plate::test

int main(int argc, char** argv) {
    using namespace plate::test;
    const std::string wanted = argc > 1 ? argv[1] : "";
    if (wanted == "--fingerprint") {
        print_fingerprint();
        return 0;
    }
    if (wanted == "--decode" && argc > 5 && std::strcmp(argv[3], "--scale") == 0) {
        return decode_files(argv[2], {argv + 5, argv + argc}, std::stoi(argv[4]));
    }
    if (wanted == "--decode" && argc > 3) return decode_files(argv[2], {argv + 3, argv + argc}, 1);
    if (wanted == "--decode-stb" && argc > 3) return decode_by_stb(argv[2], {argv + 3, argv + argc});
    if (wanted == "--parse" && argc > 3) return parse_files(argv[2], {argv + 3, argv + argc});
    if (wanted == "--read" && argc == 6) return read_probabilities({argv + 2, argv + argc});
    if (wanted == "--stage" && argc == 6) {
        return repeat_stage(argv[2], std::stoi(argv[3]), std::stoi(argv[4]), std::stoi(argv[5]));
    }
    int run = 0;
    for (const Case& test : cases()) {
        if (wanted == "--list") {
            std::puts(test.name);
            continue;
        }
        if (std::strstr(test.name, wanted.c_str()) == nullptr) continue;
        const int before = failures;
        try {
            test.run();
        } catch (const std::exception& error) {
            fail(test.name, 0, std::string("threw: ") + error.what());
        }
        if (failures != before) std::fprintf(stderr, "FAILED: %s\n", test.name);
        ++run;
    }
    std::printf("%d tests, %d failed checks\n", run, failures);
    return failures == 0 && (run > 0 || wanted == "--list") ? 0 : 1;
}
