#include "plate/commands.h"

int main(int argc, char** argv) {
    return plate::run_program(argc, argv);
}
