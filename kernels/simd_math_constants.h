#pragma once

/// Coefficients shared by the scalar and the vector form of each function, so that the two cannot
/// drift apart. From Cephes (Moshier, single/expf.c and single/logf.c).
namespace moesaic::kernels::math {

/// Adding and subtracting 1.5 * 2^23 rounds to an integer, which is then in the low mantissa bits.
inline constexpr float kRoundMagic = 12582912.0f;
inline constexpr float kLog2E = 1.44269504088896341f;
/// ln 2 in two parts; the high one has 10 significant bits, so that its product with an exponent is
/// exact.
inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;

/// Below this e^x is subnormal: 0 here (subnormals are slow and depend on flush-to-zero modes).
inline constexpr float kExpMin = -87.3365402f;
/// Above this e^x exceeds the largest float: infinity.
inline constexpr float kExpMax = 88.7228317f;
/// e^r = 1 + r + r² P(r) on [-ln2/2, ln2/2], highest power first.
inline constexpr float kExpPoly[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                     4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

/// Bits of sqrt(1/2): the mantissa range of Log is [sqrt(1/2), sqrt(2)).
inline constexpr unsigned kSqrtHalfBits = 0x3F3504F3u;
/// log(1 + y) = y - y²/2 + y³ P(y), highest power first.
inline constexpr float kLogPoly[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                     -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                     2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};

}  // namespace moesaic::kernels::math
