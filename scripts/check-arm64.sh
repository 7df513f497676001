#!/usr/bin/env bash
# Compiles the CPU backend for arm64 (NEON by GCC's vectors of four floats and fused multiply-add) with a cross compiler, and
# counts the vector multiply-adds of one kernel: bash scripts/check-arm64.sh
# Debian: apt-get install g++-aarch64-linux-gnu. Takes some minutes on two cores. Nothing is linked or run.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${RENVOX_ARM64_PREFIX:-aarch64-linux-gnu-}
if ! command -v "${prefix}g++" >/dev/null; then
  echo "missing: ${prefix}g++ (Debian's package g++-aarch64-linux-gnu; RENVOX_ARM64_PREFIX names another)" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags=(-std=c++17 -O2 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -Inative)
files=0
for file in native/core/*.cpp native/math/*.cpp native/cpu/*.cpp; do
  "${prefix}g++" "${flags[@]}" -c "$file" -o "$folder/object.o"
  files=$((files + 1))
done
for file in native/cpu/isa/*.cpp; do
  "${prefix}g++" "${flags[@]}" -O3 -DRVX_ISA=baseline -DRVX_ISA_LANES=4 -c "$file" -o "$folder/$(basename "$file").o"
  files=$((files + 1))
done
fused=$("${prefix}objdump" -d "$folder/gather_tile_wide.cpp.o" | grep -c 'fmla.*\.4s') || true
echo "$files files compiled for arm64; $fused vector multiply-adds in gather_tile_wide.cpp"
[ "$fused" -gt 0 ]
