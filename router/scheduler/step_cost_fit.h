#pragma once

#include <array>

namespace moesaic::router {

/// What a step consists of.
struct StepTerms {
  double prefill_rows = 0;
  double decode_rows = 0;
  double experts = 0;  ///< Distinct ones, summed over layers.
};

/// Seconds of a step.
struct StepCost {
  double total = 0;
  double waiting = 0;  ///< Of the total, for the shards.
};

/// What steps cost as a function of their terms, as a fit gave it. Plain value.
class StepCostCurve {
 public:
  StepCost At(const StepTerms& terms) const;

 private:
  friend class StepCostFit;
  static constexpr int kTerms = 5;
  using Vector = std::array<double, kTerms>;
  static Vector ValuesOf(const StepTerms& terms);

  Vector total_{};  // coefficients, none negative
  Vector waiting_{};
};

/// Least squares of the costs of steps over a constant, their terms and the square root of all rows
/// (the more rows, the less each costs: measured costs are concave), in which no more of anything
/// makes a step shorter: of the fits over all subsets of the terms, the best without a negative
/// coefficient. Errors count in proportion to the step: those of a long one are larger, and a step
/// that something else held up would outweigh many. Keeps sums only. Not thread-safe.
class StepCostFit {
 public:
  void Add(const StepTerms& terms, const StepCost& cost);
  /// Weighs all that was added by `keep`.
  void Fade(double keep);
  /// Takes some ten microseconds.
  StepCostCurve Solve() const;
  StepCost Predict(const StepTerms& terms) const { return Solve().At(terms); }

 private:
  static constexpr int kTerms = StepCostCurve::kTerms;
  using Vector = StepCostCurve::Vector;
  using Matrix = std::array<Vector, kTerms>;

  static Vector Eliminate(Matrix a, Vector y, unsigned used);
  Vector SolveNonNegative(const Vector& y) const;

  Matrix products_{};
  Vector total_{};
  Vector waiting_{};
};

}  // namespace moesaic::router
