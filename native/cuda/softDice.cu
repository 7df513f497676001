// softDice and its gradient; formulas in ops/classes.h, the parts of one class in math/dice.h.
// FLOPs: about 20 a score. Least bytes: logits and target read; the gradient the same and dlogits written.
//
// Few classes: a thread keeps sum p t, sum p and sum t of every class in double over its groups of four voxels (each group's sums
// in float); warps add by shuffles, the block adds its warps, a fold adds the blocks, all in a fixed order. Many classes: a block
// takes a chunk of voxels, whose largest score and share it finds with a warp a voxel, then thread t sums the classes t, t + 256, ..
// over the chunk. The folds take a warp for each of the N C 3 sums; one block makes the loss of them.
//
// Limits: f32 logits, u8 or i32 targets (ops/classes.h), of 2 to 8 classes in registers. The loss, and the slopes of its gradient, are made of the
// N C sums by one block. Labels that are no class must fail the operation, so the host reads two integers back and waits for the GPU. The
// gradient takes the sums as f32.
#include "cuda/classGroup.h"
#include "math/dice.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int64_t kVoxels = int64_t{kClassThreads} * 16;  // of a block at least, few classes
constexpr int kChunk = 512;                               // of a block, many classes

struct Samples {
  int64_t voxels;  // of one sample
  int blocks;      // for one sample
};

template <int C>
RVX_KERNEL(kClassThreads)
sumsFew(const float* x, Labels labels, Samples samples, int64_t total, double* parts) {
  const int64_t sample = blockIdx.x / static_cast<unsigned>(samples.blocks);
  const int64_t block = blockIdx.x % static_cast<unsigned>(samples.blocks);
  const int64_t from = sample * samples.voxels, to = from + samples.voxels;
  // Groups lie at multiples of four of the whole batch, where packets are aligned; two samples may share one.
  const int64_t groupEnd = (to + kGroup - 1) / kGroup;
  double sums[3 * C];
  RVX_UNROLL
  for (int i = 0; i < 3 * C; ++i) sums[i] = 0;
  for (int64_t group = from / kGroup + block * kClassThreads + threadIdx.x; group < groupEnd;
       group += int64_t{samples.blocks} * kClassThreads) {
    float s[kGroup * C];
    int32_t label[kGroup];
    ldGroup<C>(x, group, total, s);
    ldLabels(labels, group, from, to, label);
    RVX_UNROLL
    for (int v = 0; v < kGroup; ++v) probabilities<C>(s + v * C);
    RVX_UNROLL
    for (int c = 0; c < C; ++c) {
      float both = 0, p = 0, t = 0;
      RVX_UNROLL
      for (int v = 0; v < kGroup; ++v) {
        const bool here = label[v] == c;
        both += here ? s[v * C + c] : 0.0f;
        p += label[v] == kIgnored ? 0.0f : s[v * C + c];
        t += here ? 1.0f : 0.0f;
      }
      sums[3 * c] += both, sums[3 * c + 1] += p, sums[3 * c + 2] += t;
    }
  }
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  auto* scratch = sharedMemory<double>();
  RVX_UNROLL
  for (int i = 0; i < 3 * C; ++i) {
    const double sum = reduceWarp<Plus>(sums[i]);
    if (lane == 0) sts(scratch + warp * (3 * C) + i, sum);
  }
  syncBlock();
  if (threadIdx.x >= 3 * C) return;
  double sum = 0;
  for (int w = 0; w < kClassWarps; ++w) sum += lds(scratch + w * (3 * C) + threadIdx.x);
  st(parts + int64_t{blockIdx.x} * (3 * C) + threadIdx.x, sum);
}

RVX_KERNEL(kClassThreads)
sumsMany(const float* x, Labels labels, Samples samples, double* parts) {
  const int64_t sample = blockIdx.x / static_cast<unsigned>(samples.blocks);
  const int64_t begin = int64_t{blockIdx.x % static_cast<unsigned>(samples.blocks)} * kChunk;
  const int64_t left = samples.voxels - begin;
  const int count = left < kChunk ? static_cast<int>(left) : kChunk;
  const int64_t from = sample * samples.voxels + begin;
  const int classes = labels.classes;
  auto* largest = sharedMemory<float>();
  float* share = largest + kChunk;
  auto* label = sharedMemory<int32_t>(2 * kChunk * sizeof(float));
  for (auto v = static_cast<int>(threadIdx.x / 32); v < count; v += kClassWarps) {
    const ClassSums of = rowSums(x + (from + v) * classes, classes);
    if (threadIdx.x % 32 != 0) continue;
    sts(largest + v, of.largest);
    sts(share + v, 1.0f / of.total);
    sts(label + v, ldLabel(labels, from + v));
  }
  syncBlock();
  for (auto c = static_cast<int>(threadIdx.x); c < classes; c += kClassThreads) {
    double both = 0, p = 0, t = 0;
    for (int v = 0; v < count; ++v) {
      const float score = ld(x + (from + v) * classes + c);
      const float q = exponential(score - lds(largest + v)) * lds(share + v);
      const bool here = lds(label + v) == c;
      p += q;
      both += here ? q : 0.0f;
      t += here ? 1.0 : 0.0;
    }
    double* part = parts + (int64_t{blockIdx.x} * classes + c) * 3;
    st(part, both), st(part + 1, p), st(part + 2, t);
  }
}

// sums[n, i] = sum over the blocks b of sample n of parts[n, b, i], i < values.
RVX_KERNEL(kClassThreads)
fold(const double* parts, int64_t count, int values, int blocks, double* sums, float* rounded) {
  const int64_t at = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (at >= count) return;
  const int64_t sample = at / values, value = at % values;
  double sum = 0;
  for (auto b = static_cast<int>(threadIdx.x % 32); b < blocks; b += 32)
    sum += ld(parts + (sample * blocks + b) * values + value);
  sum = reduceWarp<Plus>(sum);
  if (threadIdx.x % 32 != 0) return;
  st(sums + at, sum);
  st(rounded + at, static_cast<float>(sum));
}

RVX_DEVICE double classWeight(const double* weights, int64_t c) {
  return weights ? ld(weights + c) : 1;
}

// `count` pairs of sample and class.
RVX_KERNEL(kClassThreads)
diceLoss(const double* sums, DiceRule rule, const double* weights, int64_t count, int classes,
         float* loss) {
  double dice = 0, weight = 0;
  for (int64_t i = threadIdx.x; i < count; i += kClassThreads) {
    const double* sum = sums + 3 * i;
    const double t = ld(sum + 2),
                 w = diceWeight(rule, i % classes, t, classWeight(weights, i % classes));
    if (w > 0) dice += diceTerm(rule, w, ld(sum), ld(sum + 1), t);
    weight += w;
  }
  dice = sumBlock(dice, sharedMemory<double>());
  weight = sumBlock(weight, sharedMemory<double>());
  if (threadIdx.x == 0) st(loss, weight > 0 ? static_cast<float>(1 - dice / weight) : 0.0f);
}

RVX_KERNEL(kClassThreads)
slopesOf(const float* sums, const float* dloss, DiceRule rule, const double* weights, int64_t count,
         int classes, float2* slopes) {
  double total = 0;
  for (int64_t i = threadIdx.x; i < count; i += kClassThreads)
    total += diceWeight(rule, i % classes, ld(sums + 3 * i + 2), classWeight(weights, i % classes));
  total = sumBlock(total, sharedMemory<double>());
  for (int64_t i = threadIdx.x; i < count; i += kClassThreads) {
    const float sum[3] = {ld(sums + 3 * i), ld(sums + 3 * i + 1), ld(sums + 3 * i + 2)};
    const double w = diceWeight(rule, i % classes, sum[2], classWeight(weights, i % classes));
    DiceSlopes of{0, 0};
    if (w > 0) of = diceSlopes(rule, ld(dloss) * w / total, sum);
    st(slopes + i, make_float2(of.absent, of.present));
  }
}

template <int C>
RVX_KERNEL(kClassThreads)
gradientFew(const float* x, Labels labels, const float2* slopes, Samples samples, int64_t total,
            float* dx) {
  const int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x;
  if (group * kGroup >= total) return;
  float s[kGroup * C];
  int32_t label[kGroup];
  ldGroup<C>(x, group, total, s);
  ldLabels(labels, group, 0, total, label);
  int64_t sample = group * kGroup / samples.voxels;
  int64_t next = (sample + 1) * samples.voxels;
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v) {
    // A sample may be smaller than a group.
    if (group * kGroup + v == next && next < total) ++sample, next += samples.voxels;
    probabilities<C>(s + v * C);
    float q[C], mean = 0;
    RVX_UNROLL
    for (int c = 0; c < C; ++c) {
      const float2 slope = ld(slopes + sample * C + c);
      q[c] = label[v] == c ? slope.y : slope.x;
      mean += s[v * C + c] * q[c];
    }
    RVX_UNROLL
    for (int c = 0; c < C; ++c) s[v * C + c] *= q[c] - mean;
  }
  stGroup<C>(s, group, total, dx);
}

RVX_KERNEL(kClassThreads)
gradientMany(const float* x, Labels labels, const float2* slopes, Samples samples, int64_t total,
             float* dx) {
  const int64_t v = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (v >= total) return;
  const int classes = labels.classes;
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const float* row = x + v * classes;
  const float2* slope = slopes + v / samples.voxels * classes;
  const int32_t label = ldLabel(labels, v);
  const ClassSums of = rowSums(row, classes);
  const float share = 1.0f / of.total;
  const auto q = [&](int c) {
    const float2 both = ld(slope + c);
    return label == c ? both.y : both.x;
  };
  float mean = 0;
  for (int c = lane; c < classes; c += 32)
    mean += exponential(ld(row + c) - of.largest) * share * q(c);
  mean = reduceWarp<Plus>(mean);
  for (int c = lane; c < classes; c += 32)
    st(dx + v * classes + c, exponential(ld(row + c) - of.largest) * share * (q(c) - mean));
}

template <class Op>
DiceRule ruleOf(const Op& op) {
  return {op.smooth, op.includeBackground, op.skipAbsent};
}

}  // namespace

template <>
void run(const SoftDice& op, Context& cx) {
  const Shape& s = op.logits.shape();
  const int64_t classes = s[-1], samples = s[0], voxels = s.size() / (samples * classes);
  const LabelRange range(cx);
  const Labels labels = labelsOf(op.target, classes, kNoLabel, range.data());
  const bool small = classes >= 2 && classes <= kFewClasses;
  // Room for a group that the sample shares with its neighbour.
  const unsigned perSample =
      small ? summingBlocks(voxels + kGroup, kVoxels, 1024 / samples) : blocksFor(voxels, kChunk);
  const Samples split{voxels, static_cast<int>(perSample)};
  const unsigned blocks = blocksFor(samples * perSample, 1);
  const int64_t values = 3 * classes, count = samples * values;
  const Workspace parts(cx, static_cast<size_t>(blocks * values) * sizeof(double));
  const Workspace sums(cx, static_cast<size_t>(count) * sizeof(double));
  const DeviceTable<double> weights(cx, op.classWeights);
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "softDice", blocks, kClassThreads, kClassWarps * values * sizeof(double),
           &sumsFew<decltype(c)::value>, op.logits.data(), labels, split, samples * voxels,
           parts.data<double>());
  });
  if (!few)
    launch(cx, "softDice/many", blocks, kClassThreads,
           kChunk * (2 * sizeof(float) + sizeof(int32_t)), &sumsMany, op.logits.data(), labels,
           split, parts.data<double>());
  launch(cx, "softDice/fold", blocksFor(count, kClassWarps), kClassThreads, 0, &fold,
         parts.data<double>(), count, static_cast<int>(values), split.blocks, sums.data<double>(),
         op.sums.data());
  launch(cx, "softDice/loss", 1u, kClassThreads, 32 * sizeof(double), &diceLoss,
         sums.data<double>(), ruleOf(op), op.classWeights.empty() ? nullptr : weights.data(),
         samples * classes, static_cast<int>(classes), op.loss.data());
  range.check(classes);
}

template <>
void run(const SoftDiceGrad& op, Context& cx) {
  const Shape& s = op.logits.shape();
  const int64_t classes = s[-1], samples = s[0], voxels = s.size() / (samples * classes);
  const int64_t total = samples * voxels;
  const Labels labels = labelsOf(op.target, classes, kNoLabel, nullptr);
  const Samples split{voxels, 1};
  const Workspace slopes(cx, static_cast<size_t>(samples * classes) * sizeof(float2));
  const DeviceTable<double> weights(cx, op.classWeights);
  launch(cx, "softDiceGrad/slopes", 1u, kClassThreads, 32 * sizeof(double), &slopesOf,
         op.sums.data(), op.dloss.data(), ruleOf(op),
         op.classWeights.empty() ? nullptr : weights.data(), samples * classes,
         static_cast<int>(classes), slopes.data<float2>());
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "softDiceGrad", blocksFor(groupsOf(total), kClassThreads), kClassThreads, 0,
           &gradientFew<decltype(c)::value>, op.logits.data(), labels, slopes.data<float2>(), split,
           total, op.dlogits.data());
  });
  if (!few)
    launch(cx, "softDiceGrad/many", blocksFor(total, kClassWarps), kClassThreads, 0, &gradientMany,
           op.logits.data(), labels, slopes.data<float2>(), split, total, op.dlogits.data());
}

}  // namespace rvx::cuda
