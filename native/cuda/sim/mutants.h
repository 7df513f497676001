// Small kernels that try the simulator itself: each in its right form and with what it needs taken away (name/broken).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/sim/machine.h"

namespace rvx::cuda::sim {

std::vector<std::string> mutantNames();
// Runs one; what is wrong with its result, or the text of its fault, or nothing.
std::string runMutant(const std::string& name, Schedule schedule, uint64_t seed);

}  // namespace rvx::cuda::sim
