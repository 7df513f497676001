#include "cuda/sim/fibre.h"

#include <pthread.h>

#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace rvx::cuda::sim {

#if defined(__x86_64__)
// Saves what the System V ABI asks a callee to save, exchanges the stacks, restores. 7 ns; ucontext takes 220, for it asks the
// kernel about signals.
extern "C" void rvxSwitchStack(void** from, void* to);
asm(R"(
.text
.p2align 4
.local rvxSwitchStack
.type rvxSwitchStack, @function
rvxSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size rvxSwitchStack, .-rvxSwitchStack
)");

void prepare(Fibre& fibre, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(fibre.stack + fibre.bytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top);
  // The return address lies so that entry sees the stack as after a call.
  *--words = nullptr;
  *--words = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--words = nullptr;
  fibre.stackPointer = words;
  fibre.sanitizer = nullptr;
}

static void exchange(Fibre& from, Fibre& to) {
  rvxSwitchStack(&from.stackPointer, to.stackPointer);
}
#else
void prepare(Fibre& fibre, void (*entry)()) {
  if (!fibre.stackPointer) fibre.stackPointer = new ucontext_t;
  auto* context = static_cast<ucontext_t*>(fibre.stackPointer);
  getcontext(context);
  context->uc_stack.ss_sp = fibre.stack;
  context->uc_stack.ss_size = fibre.bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  fibre.sanitizer = nullptr;
}

static void exchange(Fibre& from, Fibre& to) {
  if (!from.stackPointer) from.stackPointer = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.stackPointer),
              static_cast<ucontext_t*>(to.stackPointer));
}
#endif

#if defined(__SANITIZE_ADDRESS__)
void switchTo(Fibre& from, Fibre& to) {
  __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.bytes);
  exchange(from, to);
  __sanitizer_finish_switch_fiber(from.sanitizer, nullptr, nullptr);
}
void arrived() { __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr); }
#else
void switchTo(Fibre& from, Fibre& to) { exchange(from, to); }
void arrived() {}
#endif

void adoptThread(Fibre& fibre) {
  pthread_attr_t attributes;
  void* stack = nullptr;
  size_t bytes = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &stack, &bytes);
    pthread_attr_destroy(&attributes);
  }
  fibre.stack = static_cast<char*>(stack);
  fibre.bytes = bytes;
}

}  // namespace rvx::cuda::sim
