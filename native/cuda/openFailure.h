// Why no CUDA device could be opened, in words: what DeviceUnavailable says.
#pragma once
#include <string>

namespace rvx::cuda {

// What is known of an attempt that failed.
struct OpenFailure {
  int code = 0;      // of the call that failed (cudaError_t)
  std::string text;  // CUDA's own for it
  int driver = 0,
      runtime = 0;  // supported and needed CUDA versions, 1000 * major + 10 * minor; 0: no driver
  std::string chip = "the GPU";  // its name, where there is one
  int major = 0, minor = 0;      // its compute capability
};

std::string reasonOf(const OpenFailure& failure);

}  // namespace rvx::cuda
