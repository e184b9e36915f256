// What the Python tests ask of plate_tests besides running the unit tests.
#pragma once

#include <string>
#include <vector>

namespace plate::test {

// Decodes each file, JPEGs at 1/`scale`, to FOLDER/<number>.ppm (to nowhere when FOLDER is `-`); prints its size and
// warnings, or why it cannot be read.
int decode_files(const std::string& folder, const std::vector<std::string>& files, int scale);

// The same for JPEGs by what a program decodes with where libjpeg-turbo is not available.
int decode_by_stb(const std::string& folder, const std::vector<std::string>& files);

// Reads each file as a `kind` (config, dictionary, grammar, list or nb); prints `ok`, or the exit code and what is
// wrong with it.
int parse_files(const std::string& kind, const std::vector<std::string>& files);

// Decodes what a recogniser might answer: GRAMMAR DICTIONARY PROBABILITIES STEPS, the third raw float32, some matrices
// of STEPS rows; prints text and score of each.
int read_probabilities(const std::vector<std::string>& files);

// Runs one stage on a 720x1160 photo some times, for instructions to be counted: the difference of two counts is free
// of start and preparation.
int repeat_stage(const std::string& stage, int repeats, int width, int height);

}  // namespace plate::test
