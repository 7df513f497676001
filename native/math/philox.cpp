// Known answers of Philox4x32-10 (kat_vectors of the Random123 library): a wrong generator does not
// compile.
#include "math/philox.h"

namespace rvx {
namespace {

constexpr bool same(PhiloxWords a, PhiloxWords b) {
  for (int i = 0; i < 4; ++i)
    if (a.word[i] != b.word[i]) return false;
  return true;
}

static_assert(same(philox({{0, 0}}, {{0, 0, 0, 0}}),
                   {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}}));
static_assert(same(philox({{0xffffffffu, 0xffffffffu}},
                          {{0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}}),
                   {{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}}));
static_assert(same(philox({{0xa4093822u, 0x299f31d0u}},
                          {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}),
                   {{0xd16cfe09u, 0x94fdcceb, 0x5001e420u, 0x24126ea1u}}));

}  // namespace
}  // namespace rvx
