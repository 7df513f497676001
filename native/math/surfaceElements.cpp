#include "math/surfaceElements.h"

#include <algorithm>
#include <cmath>

#include "math/surfaceNormals.h"

namespace rvx {

ElementAreas elementAreas(const std::array<double, 3>& spacing, int64_t most) {
  const auto [d, h, w] = spacing;
  ElementAreas areas;
  double largest = 0;
  for (size_t code = 0; code < areas.mm2.size(); ++code) {
    const int8_t* normal = kNormalsTimes8[code];
    for (int i = 0; i < kNormals; ++i, normal += 3) {
      const double nw = normal[0] / 8.0 * h * d, nh = normal[1] / 8.0 * w * d,
                   nd = normal[2] / 8.0 * w * h;
      areas.mm2[code] += std::sqrt(nw * nw + nh * nh + nd * nd);
    }
    largest = std::max(largest, areas.mm2[code]);
  }
  int bits = 62;
  while (bits > 1 && most > 1) --bits, most = (most + 1) / 2;
  const double scale = std::ldexp(1.0, bits) / largest;
  for (size_t code = 0; code < areas.mm2.size(); ++code)
    if (areas.mm2[code] > 0)
      areas.weight[code] =
          std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(areas.mm2[code] * scale)));
  return areas;
}

}  // namespace rvx
