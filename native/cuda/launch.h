// How an operation launches its kernels: launch(cx, "name", blocks, threads, shared bytes, kernel, arguments...).
#pragma once
#include <tuple>
#include <utility>

#include "cuda/device.h"
#include "cuda/kernel.h"
#include "ops/operation.h"

namespace rvx::cuda {

inline GpuDevice& gpu(Context& cx) { return static_cast<GpuDevice&>(cx.device); }

// Blocks needed for `count` items with `each` to a block.
inline unsigned blocksFor(int64_t count, int64_t each) {
  const int64_t blocks = (count + each - 1) / each;
  require(blocks <= INT32_MAX, "ShapeMismatch",
          "A tensor of " + std::to_string(count) + " elements is too large for one launch");
  return static_cast<unsigned>(blocks);
}

// Calls a kernel as an ordinary function with arguments behind pointers.
template <class... P>
struct Invoker {
  using Kernel = void (*)(P...);
  template <size_t... I>
  static void call(Kernel kernel, void** arguments, std::index_sequence<I...>) {
    (void)arguments;
    kernel(*static_cast<std::decay_t<P>*>(arguments[I])...);
  }
  static void invoke(const void* kernel, void** arguments) {
    call(reinterpret_cast<Kernel>(const_cast<void*>(kernel)), arguments,
         std::index_sequence_for<P...>{});
  }
};

// The arguments are converted to the kernel's parameter types. A launch of no blocks does nothing.
template <class... P, class... A>
void launch(Context& cx, const char* name, Dim3 blocks, unsigned threads, size_t shared,
            void (*kernel)(P...), A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  static_assert(sizeof(std::tuple<std::decay_t<P>...>) <= 4096, "a launch takes 4 KB of arguments");
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
  std::tuple<std::decay_t<P>...> values(std::forward<A>(args)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[sizeof...(P) + 1] = {const_cast<void*>(static_cast<const void*>(&value))...};
        gpu(cx).launch({name, reinterpret_cast<const void*>(kernel), blocks, threads, shared,
                        pointers, &Invoker<P...>::invoke});
      },
      values);
}
template <class... P, class... A>
void launch(Context& cx, const char* name, unsigned blocks, unsigned threads, size_t shared,
            void (*kernel)(P...), A&&... args) {
  launch(cx, name, Dim3{blocks, 1, 1}, threads, shared, kernel, std::forward<A>(args)...);
}

// A table of host values on the device for the length of one operation.
template <class T>
class DeviceTable {
 public:
  DeviceTable(Context& cx, const T* values, size_t count) : memory_(cx, count * sizeof(T)) {
    if (count) cx.device.copyIn(memory_.data<void>(), values, count * sizeof(T));
  }
  template <class Container>
  DeviceTable(Context& cx, const Container& values)
      : DeviceTable(cx, values.data(), values.size()) {}
  const T* data() const { return memory_.template data<T>(); }

 private:
  Workspace memory_;
};

}  // namespace rvx::cuda
