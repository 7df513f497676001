// cast between any two element types (math/convert.h): nearest even, integers saturate, NaN becomes integer 0.
// Least bytes: x read, y written once; a thread takes as many values as fill 16 bytes of the wider type (map.h).
// The 16-bit floats go through the portable formulas and not the chip's instructions, so that a NaN keeps the CPU's bits: about 15
// integer operations a value, a fifth of what fits behind its bytes on an H100. No FLOPs.
// Limits: none but memory. Seven types, 49 kernels (ops/elementType.h); the narrower type of a pair moves less than 16 bytes an access.
#include <type_traits>

#include "cuda/map.h"
#include "ops/elementType.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

template <class To>
struct Convert {
  template <class From>
  RVX_DEVICE To operator()(From x) const {
    To y;
    store(load(x), &y);
    return y;
  }
};

}  // namespace

template <>
void run(const Cast& op, Context& cx) {
  withElementType(op.x.dtype(), [&](auto* from) {
    withElementType(op.y.dtype, [&](auto* to) {
      using From = std::remove_pointer_t<decltype(from)>;
      using To = std::remove_pointer_t<decltype(to)>;
      launchMap(cx, "cast", Convert<To>{}, op.y.shape.size(), op.y.data<To>(), op.x.data<From>());
    });
  });
}

}  // namespace rvx::cuda
