#include "router/scheduler/step_cost_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace moesaic::router {
namespace {

/// Of the sum of squares of a term: holds the fit where terms hardly vary, or vary together.
constexpr double kRidge = 1e-6;
constexpr double kLeastSeconds = 1e-6;

template <std::size_t N>
double Dot(const std::array<double, N>& a, const std::array<double, N>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

StepCostCurve::Vector StepCostCurve::ValuesOf(const StepTerms& terms) {
  return {1, terms.prefill_rows, terms.decode_rows, terms.experts,
          std::sqrt(terms.prefill_rows + terms.decode_rows)};
}

StepCost StepCostCurve::At(const StepTerms& terms) const {
  const Vector values = ValuesOf(terms);
  const double total = Dot(total_, values);
  return {.total = total, .waiting = std::min(total, Dot(waiting_, values))};
}

void StepCostFit::Add(const StepTerms& terms, const StepCost& cost) {
  const Vector values = StepCostCurve::ValuesOf(terms);
  const double scale = std::max(cost.total, kLeastSeconds);
  const double weight = 1 / (scale * scale);
  for (int i = 0; i < kTerms; ++i) {
    for (int k = 0; k < kTerms; ++k) products_[i][k] += weight * values[i] * values[k];
    total_[i] += weight * values[i] * cost.total;
    waiting_[i] += weight * values[i] * cost.waiting;
  }
}

void StepCostFit::Fade(double keep) {
  for (Vector& row : products_) {
    for (double& value : row) value *= keep;
  }
  for (double& value : total_) value *= keep;
  for (double& value : waiting_) value *= keep;
}

/// Coefficients of the terms in the set `used`, by elimination; the others are 0.
StepCostFit::Vector StepCostFit::Eliminate(Matrix a, Vector y, unsigned used) {
  for (int i = 0; i < kTerms; ++i) {
    if (i > 0) a[i][i] *= 1 + kRidge;
    if ((used >> i & 1) && a[i][i] > 0) continue;
    for (int k = 0; k < kTerms; ++k) a[i][k] = a[k][i] = 0;
    a[i][i] = 1;
    y[i] = 0;
  }
  for (int i = 0; i < kTerms; ++i) {  // symmetric and positive definite: no pivoting
    for (int k = i + 1; k < kTerms; ++k) {
      const double factor = a[k][i] / a[i][i];
      for (int j = i; j < kTerms; ++j) a[k][j] -= factor * a[i][j];
      y[k] -= factor * y[i];
    }
  }
  Vector x{};
  for (int i = kTerms - 1; i >= 0; --i) {
    double rest = y[i];
    for (int j = i + 1; j < kTerms; ++j) rest -= a[i][j] * x[j];
    x[i] = rest / a[i][i];
  }
  return x;
}

StepCostFit::Vector StepCostFit::SolveNonNegative(const Vector& y) const {
  Vector best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned used = 0; used < 1u << kTerms; ++used) {
    const Vector x = Eliminate(products_, y, used);
    if (*std::min_element(x.begin(), x.end()) < 0) continue;
    // But for a constant, the sum of squared errors, with what the ridge adds: of equal fits the
    // one with more of a fixed cost wins.
    double error = -2 * Dot(x, y);
    for (int i = 0; i < kTerms; ++i) {
      error += x[i] * (Dot(products_[i], x) + (i > 0 ? kRidge * products_[i][i] * x[i] : 0));
    }
    if (error < least) {
      least = error;
      best = x;
    }
  }
  return best;
}

StepCostCurve StepCostFit::Solve() const {
  StepCostCurve curve;
  curve.total_ = SolveNonNegative(total_);
  curve.waiting_ = SolveNonNegative(waiting_);
  return curve;
}

}  // namespace moesaic::router
