#include "cuda/openFailure.h"

#include "cuda/driver.h"

namespace rvx::cuda {
namespace {

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

std::string reasonOf(const OpenFailure& f) {
  // The runtime calls a missing driver too old.
  if (f.driver == 0) return "this machine has no NVIDIA driver";
  switch (f.code) {
    case kInsufficientDriver:
      return "the NVIDIA driver supports CUDA " + versionText(f.driver) +
             " and this build needs CUDA " + versionText(f.runtime) + ": update the driver";
    case kNoDevice:
      return "the NVIDIA driver finds no GPU";
    // Asking for a kernel that was compiled for other chips gives the first; launching it the second; PTX that the driver cannot
    // compile for the chip the others.
    case kInvalidFunction:
    case kNoKernelImage:
    case kInvalidPtx:
    case kUnsupportedPtx:
      return "this build has no kernels for " + f.chip + " (compute capability " +
             std::to_string(f.major) + "." + std::to_string(f.minor) +
             "); build it for this chip: npm run build:native";
    default:
      return f.text + " (CUDA error " + std::to_string(f.code) + ")";
  }
}

}  // namespace rvx::cuda
