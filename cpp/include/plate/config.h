// Settings of the pipeline, from a `plate.conf` and the command line.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "plate/json.h"

namespace plate {

// The keys, meanings and ranges are those of edge/ocr/config.py, where each is described.
struct Config {
    std::string det_model;
    std::string rec_model;
    std::string dict;
    std::string grammar;
    int threads = 1;
    std::string power_mode;
    std::string jpeg_scale;
    std::array<float, 3> det_mean{};
    std::array<float, 3> det_std{};
    std::string det_limit_type;
    int det_limit_side = 0;
    std::string det_post;
    double det_thresh = 0;
    double det_box_thresh = 0;
    double det_unclip_ratio = 0;
    int det_max_candidates = 0;
    int det_min_size = 0;
    bool det_dilation = false;
    bool box_flip = false;
    double box_grow = 0;
    std::array<float, 3> rec_mean{};
    std::array<float, 3> rec_std{};
    int rec_height = 0;
    int rec_width = 0;
    std::string rec_resize;
    std::string decode;
    std::string text_strip;
    std::vector<int> text_lengths;
    double score_thresh = 0;
};

// Of the runtime; no board has more cores.
inline constexpr int kMaxThreads = 64;

using Override = std::pair<std::string, std::string>;  // key, value

// Reads a config file and puts options over it. Relative paths in the file are taken from the file's folder.
// Throws Error(kConfig) with file and line: unknown, missing or repeated key, malformed value, value out of range; and
// Error(kUsage) when the fault is in an option.
Config load_config(const std::string& path, const std::vector<Override>& overrides);

bool is_config_key(const std::string& key);

// Writes all keys and values as members of the JSON object that is open.
void write_config(const Config& config, Json& json);

}  // namespace plate
