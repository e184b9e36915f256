// Decoding a JPEG with libjpeg-turbo. Its pixels are those of the reference, which decodes with the same library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plate/image.h"

namespace plate {

// One JPEG file in memory, which must outlive it.
class TurboJpeg {
  public:
    static constexpr bool kArithmetic = true;

    // Reads the header. Throws ImageError, and std::bad_alloc.
    TurboJpeg(const std::uint8_t* data, std::size_t size);

    int width() const;
    int height() const;

    // Decodes the picture at 1/`scale` of its sides (1, 2 or 4), rounded up. `warnings` gets what is wrong with a file
    // whose picture is there all the same. Throws ImageError where it is not, and std::bad_alloc.
    void decode(int scale, Image& out, std::vector<std::string>& warnings);

    // Such as `libjpeg-turbo 2.1.5`.
    static const char* library();

  private:
    struct State;
    struct Close {
        void operator()(State* state) const;
    };
    [[noreturn]] void fail(const char* doing) const;
    std::unique_ptr<State, Close> state_;
};

}  // namespace plate
