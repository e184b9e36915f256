#include "jpeg_scans.h"

#include <cstring>

namespace plate {
namespace {

constexpr std::uint8_t kMarker = 0xFF;
constexpr std::uint8_t kStartOfScan = 0xDA;
constexpr std::uint8_t kEndOfImage = 0xD9;

// Whether a byte behind 0xFF begins no segment: a stuffed byte of pixel data, TEM, RST0 to RST7, or a start of image.
bool stands_alone(std::uint8_t code) {
    return code <= 0x01 || (code >= 0xD0 && code <= 0xD8);
}

// Where the code of the next marker that begins a segment or ends the image stands, `size` when there is none.
std::size_t next_code(const std::uint8_t* data, std::size_t size, std::size_t at) {
    while (at < size) {
        const void* found = std::memchr(data + at, kMarker, size - at);
        if (found == nullptr) return size;
        at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - data) + 1;
        while (at < size && data[at] == kMarker) ++at;  // any number of fill bytes may stand before a code
        if (at < size && !stands_alone(data[at])) return at;
    }
    return size;
}

}  // namespace

int count_scans(const std::uint8_t* data, std::size_t size, int most) {
    int scans = 0;
    // What stands between two segments is looked through for the next marker in any case: behind the head of a scan it
    // is pixel data, elsewhere the padding of careless writers.
    for (std::size_t at = next_code(data, size, 0); at < size; at = next_code(data, size, at)) {
        const std::uint8_t code = data[at];
        if (code == kEndOfImage) break;
        if (code == kStartOfScan && ++scans > most) break;
        ++at;
        if (size - at < 2) break;
        at += static_cast<std::size_t>(data[at] << 8 | data[at + 1]);
    }
    return scans;
}

}  // namespace plate
