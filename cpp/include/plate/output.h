// Standard output, one JSON document a line, every line out at once: the reader may be at the other end of a network.
#pragma once

#include "plate/json.h"
#include "plate/pipeline.h"

namespace plate {

// Throws Error(kOutput) when nobody reads the line or the disk is full.
void print_line(const Json& json);

// Members `"ms": {...}` of the object that is open.
void write_times(const std::array<double, kStages>& ms, Json& json);

// Member `key: [width, height]` of the object that is open.
void write_size(const char* key, Size size, Json& json);

// Member `"plates": [{"box": ..., "text": ..., "score": ...}]` of the object that is open.
void write_plates(const std::vector<PlateText>& plates, Json& json);

// Member `"warnings": [...]` of the object that is open; none when there is nothing to warn of.
void write_warnings(const std::vector<std::string>& warnings, Json& json);

}  // namespace plate
