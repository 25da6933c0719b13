#include "shard/speed_meter.h"

#include <algorithm>

namespace moesaic::shard {
namespace {

/// A batch this many batches ago weighs 1/e: seconds of decoding.
constexpr double kFade = 1 - 1.0 / 500;
/// Batches in which every expert had about the same number of rows cannot tell the two costs apart:
/// then the determinant is this small a part of its largest value, and all is put on the rows.
constexpr double kSeparable = 1e-3;
/// Once so many batches are known, one that took longer than this many times what they predict was
/// interrupted (the process was stopped, the machine was busy): it counts as this much. A machine
/// that has become slower raises the estimate all the same, batch by batch.
constexpr double kEnough = 20;
constexpr double kOutlier = 4;

}  // namespace

void SpeedMeter::OnBatch(std::uint32_t rows, std::uint32_t experts, absl::Duration compute) {
  if (rows == 0 || experts == 0) return;
  const double r = rows;
  const double e = experts;
  base::MutexLock lock(mutex_);
  double t = absl::ToDoubleMicroseconds(compute);
  const Speed known = Solve();
  if (rr_ > kEnough) {
    t = std::min(t, kOutlier * (known.us_per_row * r + known.us_per_expert * e));
  }
  // Relative errors count, or a few prefills would drown all decode batches.
  const double weight = 1 / (r * r);
  rr_ = kFade * rr_ + weight * r * r;
  re_ = kFade * re_ + weight * r * e;
  ee_ = kFade * ee_ + weight * e * e;
  rt_ = kFade * rt_ + weight * r * t;
  et_ = kFade * et_ + weight * e * t;
}

SpeedMeter::Speed SpeedMeter::speed() const {
  base::MutexLock lock(mutex_);
  return Solve();
}

SpeedMeter::Speed SpeedMeter::Solve() const {
  if (rr_ == 0) return {};
  const double determinant = rr_ * ee_ - re_ * re_;
  if (determinant > kSeparable * rr_ * ee_) {
    const double per_row = (rt_ * ee_ - et_ * re_) / determinant;
    const double per_expert = (et_ * rr_ - rt_ * re_) / determinant;
    if (per_row >= 0 && per_expert >= 0) return {per_row, per_expert};
    if (per_row < 0) return {0, et_ / ee_};
  }
  return {rt_ / rr_, 0};
}

}  // namespace moesaic::shard
