// The best path through a recogniser's output.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace plate {

struct Reading {
    std::string text;
    double score = 0;  // mean probability of the steps that gave a character; 0 without any
};

// The first largest of `count` values (count > 0, no NaN among them).
std::size_t argmax(const float* values, std::size_t count);

bool all_finite(const float* values, std::size_t count);

// Greedy CTC: the likeliest class of each of `steps` rows of `classes` probabilities, without repeats and blanks
// (class 0). `dictionary` holds the texts of classes 1, 2, ...
void decode_greedy(const float* probabilities, std::size_t steps, std::size_t classes,
                   const std::vector<std::string>& dictionary, Reading& out);

}  // namespace plate
