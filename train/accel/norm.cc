// Batch norm in training followed by relu or hard-swish, as one pass forward and one backward; float32, NCHW.
//
// Paddle runs the two as separate operators, each streaming the whole tensor from memory several times. Here a channel
// (a few hundred KiB over the batch) stays in the second-level cache between the passes over it.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int kLanes = 16;
typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef float Unaligned __attribute__((vector_size(kLanes * 4), aligned(4)));
typedef int32_t Mask __attribute__((vector_size(kLanes * 4)));

inline Vector all(float value) { return Vector{} + value; }
inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
inline Vector load_part(const float* p, int count) {
  float part[kLanes] = {};
  std::memcpy(part, p, sizeof(float) * count);
  return load(part);
}
inline void store_part(float* p, Vector v, int count) {
  float part[kLanes];
  store(part, v);
  std::memcpy(p, part, sizeof(float) * count);
}
inline double total(Vector v) {
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

enum Act { kNone = 0, kRelu = 1, kHardSwish = 2 };

template <int A>
inline Vector act(Vector z) {
  if (A == kRelu) return z > 0.0f ? z : Vector{};
  if (A == kHardSwish) {
    Vector gate = z + 3.0f;
    gate = gate > 0.0f ? gate : Vector{};
    gate = gate < 6.0f ? gate : all(6.0f);
    return z * gate / 6.0f;
  }
  return z;
}

template <int A>
inline Vector slope(Vector z) {
  if (A == kRelu) return z > 0.0f ? all(1.0f) : Vector{};
  if (A == kHardSwish) {
    const Vector inner = z * (1.0f / 3.0f) + 0.5f;
    const Vector upper = z < 3.0f ? inner : all(1.0f);
    return z > -3.0f ? upper : Vector{};
  }
  return all(1.0f);
}

// Calls f(offset, count) for the vectors of channel c, the last one of a plane possibly short.
template <typename F>
inline void each(int n, int c, int channels, int plane, F f) {
  for (int i = 0; i < n; ++i) {
    const int64_t base = (static_cast<int64_t>(i) * channels + c) * plane;
    int at = 0;
    for (; at + kLanes <= plane; at += kLanes) f(base + at, kLanes);
    if (at < plane) f(base + at, plane - at);
  }
}

inline Vector take(const float* p, int count) { return count == kLanes ? load(p) : load_part(p, count); }
inline void put(float* p, Vector v, int count) { count == kLanes ? store(p, v) : store_part(p, v, count); }

template <int A>
void forward(const float* x, const float* gamma, const float* beta, float eps, float* y, float* mean, float* var, int n,
             int channels, int plane) {
#pragma omp parallel for schedule(static)
  for (int c = 0; c < channels; ++c) {
    const double count = static_cast<double>(n) * plane;
    Vector sum = {};
    each(n, c, channels, plane, [&](int64_t at, int k) { sum += take(x + at, k); });
    const float m = static_cast<float>(total(sum) / count);
    Vector squares = {};
    each(n, c, channels, plane, [&](int64_t at, int k) {
      const Vector d = take(x + at, k) - m;
      squares += d * d;
    });
    // The lanes past the end of each plane hold 0 and added m * m.
    const double extra = plane % kLanes ? static_cast<double>(n) * (kLanes - plane % kLanes) * m * m : 0.0;
    const float v = static_cast<float>(std::fmax(0.0, (total(squares) - extra) / count));
    const float scale = gamma[c] / std::sqrt(v + eps), shift = beta[c] - m * scale;
    each(n, c, channels, plane, [&](int64_t at, int k) { put(y + at, act<A>(take(x + at, k) * scale + shift), k); });
    mean[c] = m;
    var[c] = v;
  }
}

template <int A>
void backward(const float* x, const float* gamma, const float* beta, float eps, const float* mean, const float* var,
              const float* dy, float* dx, float* dgamma, float* dbeta, int n, int channels, int plane) {
#pragma omp parallel for schedule(static)
  for (int c = 0; c < channels; ++c) {
    const double count = static_cast<double>(n) * plane;
    const float inverse = 1.0f / std::sqrt(var[c] + eps), m = mean[c];
    const float scale = gamma[c] * inverse, shift = beta[c] - m * scale;
    Vector sum = {}, product = {};
    // Lanes past the end of a plane have dy = 0 and add nothing.
    each(n, c, channels, plane, [&](int64_t at, int k) {
      const Vector value = take(x + at, k);
      const Vector dz = take(dy + at, k) * slope<A>(value * scale + shift);
      sum += dz;
      product += dz * (value - m);
    });
    dbeta[c] = static_cast<float>(total(sum));
    dgamma[c] = static_cast<float>(total(product) * inverse);
    const float part = static_cast<float>(dbeta[c] / count);
    const float along = static_cast<float>(dgamma[c] * inverse / count);
    each(n, c, channels, plane, [&](int64_t at, int k) {
      const Vector value = take(x + at, k);
      const Vector dz = take(dy + at, k) * slope<A>(value * scale + shift);
      put(dx + at, scale * (dz - part - (value - m) * along), k);
    });
  }
}

}  // namespace

extern "C" {

// x, y: [n, channels, plane]; gamma, beta, mean, var: [channels]; kind: see Act. var is the biased variance.
int norm_act_forward(const float* x, const float* gamma, const float* beta, float eps, float* y, float* mean, float* var,
                     int n, int channels, int plane, int kind) {
  if (kind == kNone) return forward<kNone>(x, gamma, beta, eps, y, mean, var, n, channels, plane), 0;
  if (kind == kRelu) return forward<kRelu>(x, gamma, beta, eps, y, mean, var, n, channels, plane), 0;
  if (kind == kHardSwish) return forward<kHardSwish>(x, gamma, beta, eps, y, mean, var, n, channels, plane), 0;
  return 1;
}

int norm_act_backward(const float* x, const float* gamma, const float* beta, float eps, const float* mean,
                      const float* var, const float* dy, float* dx, float* dgamma, float* dbeta, int n, int channels,
                      int plane, int kind) {
  if (kind == kNone) return backward<kNone>(x, gamma, beta, eps, mean, var, dy, dx, dgamma, dbeta, n, channels, plane), 0;
  if (kind == kRelu) return backward<kRelu>(x, gamma, beta, eps, mean, var, dy, dx, dgamma, dbeta, n, channels, plane), 0;
  if (kind == kHardSwish)
    return backward<kHardSwish>(x, gamma, beta, eps, mean, var, dy, dx, dgamma, dbeta, n, channels, plane), 0;
  return 1;
}

}  // extern "C"
