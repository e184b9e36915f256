#include "plate/ctc.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

namespace plate {

std::size_t argmax(const float* values, std::size_t count) {
    // The largest value first, lane by lane and without branches; then where it stands. Two passes that are vector code
    // beat one that is not by far, and most steps of a plate are blanks, found at once.
    constexpr std::size_t kLanes = 16;
    std::array<float, kLanes> best;
    best.fill(-std::numeric_limits<float>::infinity());
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            const float value = values[i + lane];
            best[lane] = value > best[lane] ? value : best[lane];
        }
    }
    for (; i < count; ++i) best[0] = values[i] > best[0] ? values[i] : best[0];
    float top = best[0];
    for (const float value : best) top = value > top ? value : top;
    for (std::size_t at = 0; at < count; ++at) {
        if (values[at] == top) return at;
    }
    return 0;
}

bool all_finite(const float* values, std::size_t count) {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, values + i, sizeof(bits));
        // All exponent bits set: infinite or not a number.
        bad |= static_cast<std::uint32_t>((bits & 0x7F800000U) == 0x7F800000U);
    }
    return bad == 0;
}

void decode_greedy(const float* probabilities, std::size_t steps, std::size_t classes,
                   const std::vector<std::string>& dictionary, Reading& out) {
    out.text.clear();
    out.score = 0;
    std::size_t previous = 0;
    std::size_t kept = 0;
    double sum = 0;
    for (std::size_t step = 0; step < steps; ++step) {
        const float* row = probabilities + step * classes;
        const std::size_t label = argmax(row, classes);
        if (label != 0 && label != previous) {
            out.text += dictionary[label - 1];
            sum += static_cast<double>(row[label]);
            ++kept;
        }
        previous = label;
    }
    if (kept > 0) out.score = sum / static_cast<double>(kept);
}

}  // namespace plate
