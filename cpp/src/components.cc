#include "plate/components.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace plate {
namespace {

std::uint64_t load_word(const std::uint8_t* p) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof(word));
    return word;
}

}  // namespace

bool Components::threshold_row(const float* map, int width, float threshold, std::uint8_t* mask) {
    // No branches, so that the compiler turns it into vector code.
    std::uint32_t any = 0;
    std::uint32_t bad = 0;
    for (int x = 0; x < width; ++x) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, map + x, sizeof(bits));
        // All exponent bits set: infinite or not a number.
        bad |= static_cast<std::uint32_t>((bits & 0x7F800000U) == 0x7F800000U);
        const auto above = static_cast<std::uint32_t>(map[x] > threshold);
        mask[x] = static_cast<std::uint8_t>(above);
        any |= above;
    }
    not_finite_ = not_finite_ || bad != 0;
    return any != 0;
}

std::size_t Components::find(const float* map, int width, int height, float threshold, bool dilate) {
    // Masks have a zero before them (the left neighbour of column 0) and eight after (whole words can be read).
    const std::size_t padded = static_cast<std::size_t>(width) + 16;
    for (auto& row : rows_) row.assign(padded, 0);
    grown_.assign(padded, 0);
    runs_.clear();
    parent_.clear();
    not_finite_ = false;

    std::size_t above_from = 0;
    std::size_t above_to = 0;
    bool upper_set = false;
    for (int y = 0; y < height; ++y) {
        std::uint8_t* mask = rows_[1].data() + 1;
        const bool set =
            threshold_row(map + static_cast<std::size_t>(y) * static_cast<std::size_t>(width), width, threshold, mask);
        const std::size_t row_from = runs_.size();
        if (dilate && (set || upper_set)) {
            dilate_row(width);
            add_runs(grown_.data() + 1, width, y);
        } else if (set) {
            add_runs(mask, width, y);
        }
        if (row_from != runs_.size() && above_from != above_to) join(above_from, above_to, row_from);
        above_from = row_from;
        above_to = runs_.size();
        std::swap(rows_[0], rows_[1]);
        upper_set = set;
    }
    return group();
}

void Components::dilate_row(int width) {
    const std::uint8_t* upper = rows_[0].data() + 1;
    const std::uint8_t* row = rows_[1].data() + 1;
    std::uint8_t* out = grown_.data() + 1;
    for (int x = 0; x < width; ++x) {
        out[x] = static_cast<std::uint8_t>(row[x] | row[x - 1] | upper[x] | upper[x - 1]);
    }
}

void Components::add_runs(const std::uint8_t* mask, int width, int y) {
    int x = 0;
    while (x < width) {
        if (load_word(mask + x) == 0) {
            x += 8;
            continue;
        }
        while (x < width && mask[x] == 0) ++x;
        if (x >= width) break;
        const int from = x;
        while (x < width && mask[x] != 0) ++x;
        const auto label = static_cast<int>(runs_.size());
        runs_.push_back({y, from, x - 1, label});
        parent_.push_back(label);
    }
}

int Components::root(int label) {
    auto at = static_cast<std::size_t>(label);
    while (parent_[at] != static_cast<int>(at)) {
        parent_[at] = parent_[static_cast<std::size_t>(parent_[at])];
        at = static_cast<std::size_t>(parent_[at]);
    }
    return static_cast<int>(at);
}

void Components::join(std::size_t above_from, std::size_t above_to, std::size_t row_from) {
    std::size_t above = above_from;
    for (std::size_t i = row_from; i < runs_.size(); ++i) {
        // Runs touch, corners included, when they overlap after one of them is widened by a pixel on both sides.
        while (above < above_to && runs_[above].to < runs_[i].from - 1) ++above;
        for (std::size_t j = above; j < above_to && runs_[j].from <= runs_[i].to + 1; ++j) {
            const int a = root(runs_[j].label);
            const int b = root(runs_[i].label);
            // The smaller root came first in scan order.
            if (a < b) {
                parent_[static_cast<std::size_t>(b)] = a;
            } else {
                parent_[static_cast<std::size_t>(a)] = b;
            }
        }
    }
}

std::size_t Components::group() {
    // Roots are met before their other runs, so that numbering them as they come is scan order.
    number_.assign(runs_.size(), -1);
    starts_.assign(1, 0);
    for (Run& run : runs_) {
        const auto top = static_cast<std::size_t>(root(run.label));
        if (number_[top] < 0) {
            number_[top] = static_cast<int>(starts_.size()) - 1;
            starts_.push_back(0);
        }
        run.label = number_[top];
        ++starts_[static_cast<std::size_t>(run.label) + 1];
    }
    for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    sorted_.resize(runs_.size());
    number_.assign(starts_.size(), 0);
    for (const Run& run : runs_) {
        const auto label = static_cast<std::size_t>(run.label);
        sorted_[starts_[label] + static_cast<std::size_t>(number_[label]++)] = run;
    }
    return starts_.size() - 1;
}

}  // namespace plate
