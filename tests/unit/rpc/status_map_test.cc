#include "rpc/status_map.h"

#include "base/retry_delay.h"
#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

TEST(StatusMapTest, EveryCodeGoesThereAndBack) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    const grpc::Status mapped = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(mapped.error_code()), code);
    EXPECT_EQ(FromGrpcStatus(mapped), status);
  }
}

TEST(StatusMapTest, UnknownCodesBecomeUnknown) {
  const grpc::Status strange(grpc::StatusCode::DO_NOT_USE, "strange");
  EXPECT_EQ(FromGrpcStatus(strange), absl::UnknownError("strange"));
}

TEST(StatusMapTest, TheRetryDelayTravels) {
  const absl::Duration delay = absl::Milliseconds(1500);
  const absl::Status full = base::WithRetryDelay(absl::ResourceExhaustedError("full"), delay);
  EXPECT_EQ(base::RetryDelay(full), delay);
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(full));
  EXPECT_EQ(back.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::RetryDelay(back), delay);
}

TEST(StatusMapTest, DetailsThatMeanNothingAreLeftOut) {
  const grpc::Status odd(grpc::StatusCode::UNAVAILABLE, "odd", "\xff\xff\xff");
  EXPECT_EQ(FromGrpcStatus(odd), absl::UnavailableError("odd"));
  EXPECT_EQ(base::RetryDelay(absl::UnavailableError("plain")), std::nullopt);
}

}  // namespace
}  // namespace moesaic::rpc
