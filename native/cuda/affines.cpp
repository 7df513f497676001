#include "cuda/affines.h"

namespace rvx::cuda {

std::vector<Affine> affinesOf(const OptionalInput& map, const Affine& attribute, int64_t samples,
                              Context& cx) {
  std::vector<Affine> affines(static_cast<size_t>(samples), attribute);
  if (map && samples > 0) {
    const auto count = static_cast<size_t>(map.shape().size());
    const size_t bytes = count * sizeOf(map.dtype());
    std::vector<double> wide(count);
    if (map.dtype() == DType::f64) {
      cx.device.copyOut(wide.data(), map.data<double>(), bytes);
    } else {
      std::vector<float> narrow(count);
      cx.device.copyOut(narrow.data(), map.data(), bytes);
      wide.assign(narrow.begin(), narrow.end());
    }
    cx.device.transfers.readbacks++;
    cx.device.transfers.readbackBytes += bytes;
    for (size_t n = 0; n < affines.size(); ++n)
      for (size_t i = 0; i < 12; ++i)
        affines[n][i] = wide[(map.shape().rank == 2 ? 12 * n : 0) + i];
  }
  for (const Affine& affine : affines) requireNumbers(affine);
  return affines;
}

}  // namespace rvx::cuda
