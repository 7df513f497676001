// Fibres: stacks that one host thread switches between by hand.
#pragma once
#include <cstddef>

namespace rvx::cuda::sim {

struct Fibre {
  void* stackPointer = nullptr;
  char* stack = nullptr;
  size_t bytes = 0;
  void* sanitizer = nullptr;  // AddressSanitizer's view of this stack while it is not running
};

// A fibre that will call entry() on its own stack when it is first switched to. entry must not return.
void prepare(Fibre& fibre, void (*entry)());
// Goes on with `to`; returns when someone switches back to `from`.
void switchTo(Fibre& from, Fibre& to);
// The first thing that a fibre's entry does: tells AddressSanitizer that the switch is done.
void arrived();
// The host thread's own stack as a fibre.
void adoptThread(Fibre& fibre);

}  // namespace rvx::cuda::sim
