// Lets a program that a new compiler made start on an old board: see cmake/floor.cmake.
//
// A program asks for the newest version of every glibc symbol that the compiler's own glibc has, whether or not it
// needs it, and an older loader then refuses it as a whole. Here the few symbols that were given a new version since
// are bound to their first one, and those that old libraries lack are the program's own.
#include <cstdarg>
#include <new>

// The names are those of glibc, libstdc++ and the linker.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

#if defined(__aarch64__)
#define PLATE_FIRST_GLIBC "GLIBC_2.17"
#elif defined(__arm__)
#define PLATE_FIRST_GLIBC "GLIBC_2.4"
#endif
#define PLATE_OLD(name) __asm__(".symver plate_old_" #name ", " #name "@" PLATE_FIRST_GLIBC)

using Main = int (*)(int, char**, char**);
using Init = void (*)(int, char**, char**);

PLATE_OLD(pow);
PLATE_OLD(hypot);
PLATE_OLD(strtol);
PLATE_OLD(vsscanf);
PLATE_OLD(__libc_start_main);

extern "C" {
double plate_old_pow(double base, double exponent);
double plate_old_hypot(double x, double y);
long plate_old_strtol(const char* text, char** end, int base);
int plate_old_vsscanf(const char* text, const char* format, va_list arguments);
int plate_old___libc_start_main(Main main, int argc, char** argv, Init init, void (*fini)(), void (*rtld_fini)(),
                                void* stack_end);

// Of the linker and of crti.o.
extern __attribute__((visibility("hidden"))) Init __init_array_start[];
extern __attribute__((visibility("hidden"))) Init __init_array_end[];
void _init();

double __wrap_pow(double base, double exponent) {
    return plate_old_pow(base, exponent);
}

double __wrap_hypot(double x, double y) {
    return plate_old_hypot(x, y);
}

// glibc 2.38 and later, whose headers lead there from strtol and sscanf; the difference is that 0b101 is a number too.
__attribute__((visibility("hidden"))) long __isoc23_strtol(const char* text, char** end, int base) {
    return plate_old_strtol(text, end, base);
}

__attribute__((visibility("hidden"))) int __isoc23_sscanf(const char* text, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int count = plate_old_vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}

// Before 2.34 the program itself ran its constructors, from a function that it handed over; since then glibc does, and
// calls such a function in place of that when it is given one. So with it constructors run once on either.
static void run_constructors(int argc, char** argv, char** environment) {
    _init();
    for (Init* item = __init_array_start; item != __init_array_end; ++item) (*item)(argc, argv, environment);
}

int __wrap___libc_start_main(Main main, int argc, char** argv, Init /*init*/, void (*fini)(), void (*rtld_fini)(),
                             void* stack_end) {
    return plate_old___libc_start_main(main, argc, argv, run_constructors, fini, rtld_fini, stack_end);
}

// glibc 2.32. "Perhaps not" is always right: shared counts are then changed atomically.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;

#ifndef PLATE_STATIC_LIBSTDCXX
// libstdc++ 11 (GLIBCXX_3.4.29), as its operator new[] does.
__attribute__((visibility("hidden"))) void plate_throw_bad_array_new_length() __asm__(
    "_ZSt28__throw_bad_array_new_lengthv");
void plate_throw_bad_array_new_length() {
    throw std::bad_array_new_length();
}
#endif
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
