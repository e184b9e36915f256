#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "plate/commands.h"
#include "plate/crash.h"
#include "plate/process.h"
#include "plate/text.h"

namespace plate {
namespace {

constexpr const char* kHelp =
    R"(plate_ocr reads licence plates in photos with Paddle Lite models. Answers are JSON lines on standard output.

  plate_ocr run     --config plate.conf [--KEY VALUE ...] (IMAGE... | --list FILE)
  plate_ocr bench   --config plate.conf [--KEY VALUE ...] [--warmup N] [--warmup-ms MS] [--repeats N]
                    [--min-ms MS] [--max-ms MS] (IMAGE... | --list FILE)
  plate_ocr infer   --model X.nb --shape 1,3,H,W --input FILE.f32 [--output FILE.f32] [--threads N]
                    [--power-mode MODE] [--repeats N]
  plate_ocr version [--model X.nb]

Every key of the config file is an option that overrides it, such as --det-limit-side 640.
Exit codes: 0 good, 2 usage, 3 config, dictionary or list, 4 model or runtime, 5 some images could not be read,
6 output could not be written.
)";

ExitCode dispatch(const std::string& command, const Words& words) {
    if (command == "run") return command_run(words);
    if (command == "bench") return command_bench(words);
    if (command == "infer") return command_infer(words);
    if (command == "version" || command == "--version") return command_version(words);
    if (command == "help" || command == "--help" || command == "-h") {
        errno = 0;
        if (std::fputs(kHelp, stdout) == EOF || std::fflush(stdout) != 0) {
            throw Error(ExitCode::kOutput, std::string("cannot write to standard output: ") + std::strerror(errno));
        }
        return ExitCode::kOk;
    }
    std::fputs(kHelp, stderr);
    throw Error(ExitCode::kUsage, command.empty() ? "no command is given" : "unknown command `" + command + "`");
}

int fail(const char* message, ExitCode code) {
    std::fprintf(stderr, "plate_ocr: error: %s\n", one_line(message).c_str());
    return static_cast<int>(code);
}

}  // namespace

int run_program(int argc, char** argv) {
    // A reader that goes away is an error of writing, not a reason to be killed.
    std::signal(SIGPIPE, SIG_IGN);
    install_crash_handlers();
    prepare_process();
    try {
        const std::string command = argc > 1 ? argv[1] : "";
        return static_cast<int>(dispatch(command, Words(argv + (argc > 1 ? 2 : 1), argv + argc)));
    } catch (const Error& error) {
        return fail(error.what(), error.code());
    } catch (const std::bad_alloc&) {
        return fail("out of memory", ExitCode::kModel);
    } catch (const std::exception& error) {
        return fail(error.what(), ExitCode::kModel);
    }
}

}  // namespace plate
