// Joining and cutting along the channels, the last axis.
#pragma once
#include "ops/operation.h"

namespace rvx {

// y = the inputs one after the other along the last axis; f32, equal in all other axes.
struct ConcatChannels {
  static constexpr const char* name = "concatChannels";
  std::vector<Input> inputs;
  Output y;

  template <class V>
  void fields(V& v) {
    v(inputs, "inputs"), v(y, "y");
  }
  void infer() {
    require(!inputs.empty(), "InvalidArgument", "Expected at least one tensor to join");
    Shape s = inputs[0].shape();
    require(s.rank >= 1, "ShapeMismatch", "Expected at least one axis");
    int64_t channels = 0;
    for (const Input& x : inputs) {
      requireType(x, DType::f32, "inputs");
      require(x.shape().rank == s.rank, "ShapeMismatch", "Expected equal numbers of axes");
      s[-1] = x.shape()[-1];
      requireShape(x.shape(), s, "inputs");
      channels += s[-1];
    }
    s[-1] = channels;
    y.is(s);
  }
};

// y = channels from..to-1 of x.
struct SliceChannels {
  static constexpr const char* name = "sliceChannels";
  Input x;
  Output y;
  int64_t from = 0, to = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(from, "from"), v(to, "to");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    Shape s = x.shape();
    require(s.rank >= 1 && 0 <= from && from < to && to <= s[-1], "InvalidArgument",
            [&] { return "Expected a range of the channels of " + s.text(); });
    s[-1] = to - from;
    y.is(s);
  }
};

// dx [..., channels] = dy at channels from.., zero elsewhere.
struct SliceChannelsGrad {
  static constexpr const char* name = "sliceChannelsGrad";
  Input dy;
  Output dx;
  int64_t from = 0, channels = 0;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(dx, "dx"), v(from, "from"), v(channels, "channels");
  }
  void infer() {
    Shape s = dy.shape();
    require(s.rank >= 1 && from >= 0 && from + s[-1] <= channels, "InvalidArgument",
            [&] { return "Expected a place of " + s.text() + " inside the channels"; });
    s[-1] = channels;
    dx.is(s);
  }
};

using ChannelOperations = OperationList<ConcatChannels, SliceChannels, SliceChannelsGrad>;

}  // namespace rvx
