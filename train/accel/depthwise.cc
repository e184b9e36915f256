// Depthwise 2-D convolution on the CPU, forward and backward, float32, NCHW.
//
// Paddle's CPU build computes a depthwise convolution as one im2col and one matrix product a channel; on the layers of
// PP-OCRv3 that is 50 to 100 times slower than what follows. A padded copy of each plane (split by column phase when
// the horizontal stride is 2) lets every tap be one unaligned vector load, so the compiler needs no shuffles.
// Bound through ctypes: no Paddle headers, no Python headers.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int kLanes = 16;
typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef float Unaligned __attribute__((vector_size(kLanes * 4), aligned(4)));

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
inline int round_up(int value) { return (value + kLanes - 1) / kLanes * kLanes; }

struct Shape {
  int n, c, h, w, k, sh, sw, oh, ow;
  int pad() const { return k / 2; }
  int rows() const { return (oh - 1) * sh + k; }        // rows of the padded plane that taps can reach
  int line() const { return round_up(ow) + k + kLanes; }  // floats of one phase of one padded row
  int plane() const { return rows() * sw * line(); }
};

// Copies a plane into its padded form: row r, phase f, position i holds x[r - pad][i * sw + f - pad].
void spread(const Shape& s, const float* x, float* padded) {
  std::memset(padded, 0, sizeof(float) * s.plane());
  const int p = s.pad(), line = s.line();
  for (int r = p; r < std::min(s.rows(), s.h + p); ++r) {
    const float* from = x + (r - p) * s.w;
    float* row = padded + static_cast<int64_t>(r) * s.sw * line;
    if (s.sw == 1) {
      std::memcpy(row + p, from, sizeof(float) * std::min(s.w, line - p));
    } else {
      for (int j = 0; j < s.w; ++j) {
        const int at = (j + p) / 2;
        if (at < line) row[((j + p) % 2) * line + at] = from[j];
      }
    }
  }
}

// out[oh][ow] = sum over taps; `flip` turns the kernel by 180 degrees (the gradient of a stride-1 convolution).
template <int K>
void correlate(const Shape& s, const float* padded, const float* weight, bool flip, float* out) {
  float w[K * K];
  for (int i = 0; i < K * K; ++i) w[i] = flip ? weight[K * K - 1 - i] : weight[i];
  const int line = s.line();
  for (int y = 0; y < s.oh; ++y) {
    const float* base = padded + static_cast<int64_t>(y) * s.sh * s.sw * line;
    for (int x = 0; x < s.ow; x += kLanes) {
      Vector sum = {};
      for (int i = 0; i < K; ++i) {
        const float* row = base + static_cast<int64_t>(i) * s.sw * line + x;
        for (int j = 0; j < K; ++j) {
          sum += w[i * K + j] * load(row + (s.sw == 1 ? j : (j % 2) * line + j / 2));
        }
      }
      float* to = out + static_cast<int64_t>(y) * s.ow + x;
      if (x + kLanes <= s.ow) {
        store(to, sum);
      } else {
        float tail[kLanes];
        store(tail, sum);
        std::memcpy(to, tail, sizeof(float) * (s.ow - x));
      }
    }
  }
}

// Adds one plane's part of the weight gradient.
template <int K>
void weight_gradient(const Shape& s, const float* padded, const float* dy, Vector (&sums)[K * K]) {
  const int line = s.line();
  for (int y = 0; y < s.oh; ++y) {
    const float* base = padded + static_cast<int64_t>(y) * s.sh * s.sw * line;
    for (int x = 0; x < s.ow; x += kLanes) {
      const float* from = dy + static_cast<int64_t>(y) * s.ow + x;
      Vector g;
      if (x + kLanes <= s.ow) {
        g = load(from);
      } else {
        float tail[kLanes] = {};
        std::memcpy(tail, from, sizeof(float) * (s.ow - x));
        g = load(tail);
      }
      for (int i = 0; i < K; ++i) {
        const float* row = base + static_cast<int64_t>(i) * s.sw * line + x;
        for (int j = 0; j < K; ++j) {
          sums[i * K + j] += g * load(row + (s.sw == 1 ? j : (j % 2) * line + j / 2));
        }
      }
    }
  }
}

template <int K>
void forward(const Shape& s, const float* x, const float* weight, float* y) {
#pragma omp parallel for schedule(static)
  for (int plane = 0; plane < s.n * s.c; ++plane) {
    std::vector<float> padded(s.plane());
    spread(s, x + static_cast<int64_t>(plane) * s.h * s.w, padded.data());
    correlate<K>(s, padded.data(), weight + (plane % s.c) * K * K, false, y + static_cast<int64_t>(plane) * s.oh * s.ow);
  }
}

template <int K>
void backward(const Shape& s, const float* x, const float* weight, const float* dy, float* dx, float* dweight) {
  // The gradient of the input is a stride-1 correlation of dy, zeros put between its elements, with the turned kernel.
  const Shape back{1, 1, s.h, s.w, s.k, 1, 1, s.h, s.w};
#pragma omp parallel for schedule(static)
  for (int c = 0; c < s.c; ++c) {
    std::vector<float> padded(s.plane()), between(static_cast<size_t>(s.h) * s.w), grown(back.plane());
    Vector sums[K * K] = {};
    for (int n = 0; n < s.n; ++n) {
      const int64_t plane = static_cast<int64_t>(n) * s.c + c;
      const float* g = dy + plane * s.oh * s.ow;
      spread(s, x + plane * s.h * s.w, padded.data());
      weight_gradient<K>(s, padded.data(), g, sums);
      if (dx == nullptr) continue;
      const float* dense = g;
      if (s.sh != 1 || s.sw != 1) {
        std::fill(between.begin(), between.end(), 0.0f);
        for (int i = 0; i < s.oh; ++i)
          for (int j = 0; j < s.ow; ++j) between[static_cast<size_t>(i) * s.sh * s.w + j * s.sw] = g[i * s.ow + j];
        dense = between.data();
      }
      spread(back, dense, grown.data());
      correlate<K>(back, grown.data(), weight + static_cast<int64_t>(c) * K * K, true, dx + plane * s.h * s.w);
    }
    for (int i = 0; i < K * K; ++i) {
      float total = 0.0f;
      for (int lane = 0; lane < kLanes; ++lane) total += sums[i][lane];
      dweight[static_cast<int64_t>(c) * K * K + i] = total;
    }
  }
}

}  // namespace

extern "C" {

// Both return 0, or 1 for a shape they were not made for. Padding is k / 2 on every side; oh = (h - 1) / sh + 1.
int depthwise_forward(const float* x, const float* weight, float* y, int n, int c, int h, int w, int k, int sh, int sw) {
  const Shape s{n, c, h, w, k, sh, sw, (h - 1) / sh + 1, (w - 1) / sw + 1};
  if (sh < 1 || sh > 2 || sw < 1 || sw > 2) return 1;
  if (k == 3) return forward<3>(s, x, weight, y), 0;
  if (k == 5) return forward<5>(s, x, weight, y), 0;
  return 1;
}

// dx may be null when nobody needs it.
int depthwise_backward(const float* x, const float* weight, const float* dy, float* dx, float* dweight, int n, int c,
                       int h, int w, int k, int sh, int sw) {
  const Shape s{n, c, h, w, k, sh, sw, (h - 1) / sh + 1, (w - 1) / sw + 1};
  if (sh < 1 || sh > 2 || sw < 1 || sw > 2) return 1;
  if (k == 3) return backward<3>(s, x, weight, dy, dx, dweight), 0;
  if (k == 5) return backward<5>(s, x, weight, dy, dx, dweight), 0;
  return 1;
}

}  // extern "C"
