#!/usr/bin/env bash
# The tests of the engine and of every operation, on the CPU and on the simulated GPU, run on an addon built with AddressSanitizer
# and UBSan.
#   scripts/sanitize.sh [PATH ...]        default: test/core test/ops
# The build lies in build-sanitize/ and leaves the ordinary one alone. Needs CMake and GCC on Linux.
set -euo pipefail
cd "$(dirname "$0")/.."

node node_modules/cmake-js/bin/cmake-js compile --out build-sanitize/build --target renvox_sim \
  --CDRVX_SANITIZE=address,undefined --CDRVX_CUDA=OFF --CDRVX_SIM=ON

# The runtime must come before everything in the process; libstdc++ with it, since Node may carry its own copy and the
# sanitizer looks for the C++ exception functions once, at start.
preload="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libstdc++.so)"

# Leaks: Node frees little at exit, so the sanitizer would report Node's own; the suite counts live native bytes itself.
# A limit reached must come back as null from malloc, as in an ordinary build, for the tests of exhausted memory.
export RENVOX_PREBUILD="$PWD/build-sanitize/build/sim"
export RENVOX_TEST_PRELOAD="$preload"
export RENVOX_TEST_TIMEOUT=900
export RENVOX_FAULT_STRIDE=61
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1
# Whole label maps of the data folder would take most of the time and reach no line that small ones do not.
export RENVOX_DATA="${RENVOX_SANITIZE_DATA:-none}"
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

paths=("$@")
[ ${#paths[@]} -gt 0 ] || paths=(test/core test/ops)
node scripts/test.mjs "${paths[@]}"
