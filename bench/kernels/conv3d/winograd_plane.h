// Both transforms of W(.,4,4) in the plane, for a strip of four output rows: 36 points of each tile of 4x4 voxels. Steps 06 and later differ only in what they do along D.
#pragma once
#include "tile.h"
#include "winograd.h"

// Points lie one cache line further apart than they are long: 36 streams at a distance of 2 KB would fall on few sets of the first cache.
inline size_t pointStride(int tiles, int channels) { return size_t(tiles) * channels + 16; }

// u[36][tile][Cin] from the six input rows h0-1 .. h0+4 of plane d; zeros where the plane is outside.
inline void transformPlane(const Problem& p, const float* x, int d, int h0, float* u) {
  const int tiles = p.W / 4;
  const size_t stride = pointStride(tiles, p.Cin);
  if (d < 0 || d >= p.D) return void(std::memset(u, 0, sizeof(float) * 36 * stride));
  for (int c = 0; c < p.Cin; c += kLanes) {
    // Columns already transformed along H; a tile shares two with the next one.
    Vec column[6][6];
    const auto make = [&](int w, Vec(&to)[6]) {
      Vec in[6];
      for (int i = 0; i < 6; i++) {
        const int h = h0 + i - 1;
        in[i] =
            h < 0 || h >= p.H || w < 0 || w >= p.W ? Vec{} : load(x + p.voxel(d, h, w) * p.Cin + c);
      }
      input6(in, to);
    };
    for (int i = 0; i < 2; i++) make(i - 1, column[i]);
    for (int tile = 0; tile < tiles; tile++) {
      for (int i = 2; i < 6; i++) make(tile * 4 + i - 1, column[i]);
      for (int r = 0; r < 6; r++) {
        Vec in[6], out[6];
        for (int i = 0; i < 6; i++) in[i] = column[i][r];
        input6(in, out);
        for (int i = 0; i < 6; i++)
          store(u + (r * 6 + i) * stride + size_t(tile) * p.Cin + c, out[i]);
      }
      for (int i = 0; i < 2; i++) std::memcpy(&column[i], &column[i + 4], sizeof column[i]);
    }
  }
}

// Rows h0 .. h0+3 of plane d of y from m[36][tile][Cout].
inline void outputPlane(const Problem& p, const float* m, int d, int h0, float* y) {
  const int tiles = p.W / 4;
  const size_t stride = pointStride(tiles, p.Cout);
  for (int tile = 0; tile < tiles; tile++)
    for (int o = 0; o < p.Cout; o += kLanes) {
      Vec half[6][4];
      for (int i = 0; i < 6; i++) {
        Vec in[6];
        for (int r = 0; r < 6; r++)
          in[r] = load(m + (r * 6 + i) * stride + size_t(tile) * p.Cout + o);
        output4(in, half[i]);
      }
      for (int r = 0; r < 4 && h0 + r < p.H; r++) {
        Vec in[6], out[4];
        for (int i = 0; i < 6; i++) in[i] = half[i][r];
        output4(in, out);
        for (int i = 0; i < 4; i++)
          store(y + p.voxel(d, h0 + r, tile * 4 + i) * p.Cout + o, out[i]);
      }
    }
}

// Weights along H and W at 36 points, in double: [Cout][Cin][kd][36].
inline std::vector<double> planeWeights(const Problem& p, const float* weight) {
  std::vector<double> all(size_t(p.Cout) * p.Cin * 3 * 36);
  for (size_t i = 0; i < size_t(p.Cout) * p.Cin * 3; i++) {
    double rows[3][6];
    for (int kh = 0; kh < 3; kh++) {
      const float* k = weight + i * 9 + kh * 3;
      const double g[3] = {k[0], k[1], k[2]};
      filter6(g, rows[kh]);
    }
    for (int col = 0; col < 6; col++) {
      const double g[3] = {rows[0][col], rows[1][col], rows[2][col]};
      double u[6];
      filter6(g, u);
      for (int r = 0; r < 6; r++) all[i * 36 + r * 6 + col] = u[r];
    }
  }
  return all;
}
