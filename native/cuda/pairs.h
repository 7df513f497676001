// Two 16-bit floats in one register, by type: what tensor cores take.
#pragma once
// Included at the end of both languages, which define packBf16, packF16 and halfToFloat.

namespace rvx::cuda {

template <class T>
RVX_DEVICE uint32_t pack(float low, float high);
template <>
RVX_DEVICE uint32_t pack<Bf16>(float low, float high) {
  return packBf16(low, high);
}
template <>
RVX_DEVICE uint32_t pack<F16>(float low, float high) {
  return packF16(low, high);
}

template <class T>
RVX_DEVICE float unpackLow(uint32_t pair);
template <class T>
RVX_DEVICE float unpackHigh(uint32_t pair);
template <>
RVX_DEVICE float unpackLow<Bf16>(uint32_t pair) {
  return fromBits(pair << 16);
}
template <>
RVX_DEVICE float unpackHigh<Bf16>(uint32_t pair) {
  return fromBits(pair & 0xffff0000u);
}
template <>
RVX_DEVICE float unpackLow<F16>(uint32_t pair) {
  return halfToFloat(static_cast<uint16_t>(pair));
}
template <>
RVX_DEVICE float unpackHigh<F16>(uint32_t pair) {
  return halfToFloat(static_cast<uint16_t>(pair >> 16));
}

}  // namespace rvx::cuda
