#include "jpeg_scans.h"

#include <cstring>
#include <string>

#include "plate/error.h"

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

// Whether a code begins a frame: its low bits say how the picture is coded.
bool begins_frame(std::uint8_t code) {
    return code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC;
}

// Where the segment behind a code ends; `size` when that is beyond the file.
std::size_t segment_end(const std::uint8_t* data, std::size_t size, std::size_t code) {
    if (size - code < 3) return size;
    const std::size_t length = static_cast<std::size_t>(data[code + 1]) << 8U | data[code + 2];
    return length > size - code - 1 ? size : code + 1 + length;
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
        at = segment_end(data, size, at);
    }
    return scans;
}

void check_kind(const std::uint8_t* data, std::size_t size, bool arithmetic) {
    const std::string again = "; save it again as an ordinary JPEG";
    for (std::size_t at = next_code(data, size, 0); at < size;
         at = next_code(data, size, segment_end(data, size, at))) {
        const std::uint8_t code = data[at];
        if (code == kStartOfScan || code == kEndOfImage) return;
        if (!begins_frame(code) || size - at < 4) continue;
        const unsigned process = code & 3U;
        if (process == 3) throw ImageError("a lossless JPEG, which is not read" + again);
        if ((code & 4U) != 0) throw ImageError("a hierarchical JPEG, which is not read" + again);
        if (data[at + 3] != 8) {
            throw ImageError("a JPEG of " + std::to_string(data[at + 3]) + " bits a sample; only 8 are read" + again);
        }
        if ((code & 8U) != 0 && !arithmetic) {
            throw ImageError("a JPEG with arithmetic coding, which this build does not read" + again);
        }
        return;
    }
}

}  // namespace plate
