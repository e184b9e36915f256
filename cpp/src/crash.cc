#include "plate/crash.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "plate/error.h"
#include "plate/text.h"

namespace plate {
namespace {

struct Fatal {
    int number;
    const char* name;
};

constexpr Fatal kFatal[] = {{SIGSEGV, "signal 11, segmentation fault"},
                            {SIGILL, "signal 4, illegal instruction: the library needs a feature that this CPU lacks"},
                            {SIGABRT, "signal 6, aborted"},
                            {SIGBUS, "signal 7, bus error"},
                            {SIGFPE, "signal 8, arithmetic error"}};

// Read by the handler, which may only touch what is there already.
const char* volatile current = nullptr;

void say(const char* text) {
    // Nothing sensible is left to do when standard error is gone too.
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

void on_fatal(int number) {
    if (current == nullptr) {
        std::signal(number, SIG_DFL);
        std::raise(number);
        return;
    }
    say("plate_ocr: error: ");
    say(current);
    for (const Fatal& fatal : kFatal) {
        if (fatal.number == number) {
            say(": ");
            say(fatal.name);
        }
    }
    say("\n");
    _exit(static_cast<int>(ExitCode::kModel));
}

}  // namespace

CrashScope::CrashScope(const std::string& what) : line_(one_line(what)), outer_(current) {
    current = line_.c_str();
}

CrashScope::~CrashScope() {
    current = outer_;
}

void install_crash_handlers() {
    // A stack of its own, since a stack overflow is one of the ways to crash.
    static char* const stack = static_cast<char*>(std::malloc(64U << 10U));
    if (stack != nullptr) {
        stack_t other{};
        other.ss_sp = stack;
        other.ss_size = 64U << 10U;
        sigaltstack(&other, nullptr);
    }
    struct sigaction action {};
    action.sa_handler = on_fatal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const Fatal& fatal : kFatal) sigaction(fatal.number, &action, nullptr);
}

}  // namespace plate
