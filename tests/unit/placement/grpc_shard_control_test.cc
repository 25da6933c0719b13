#include "placement/grpc_shard_control.h"

#include <string>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

constexpr char kNobody[] = "127.0.0.1:9";  // the discard port: nobody listens on loopback
constexpr std::size_t kMaxQueued = 16;

/// What a call that `start` starts on the loop ends with.
template <typename Start>
absl::Status Outcome(base::Loop& loop, Start start) {
  absl::Notification done;
  absl::Status outcome;
  const absl::Status posted = loop.Post([&] {
    start([&](absl::Status status) {
      EXPECT_TRUE(loop.OnLoopThread());
      outcome = std::move(status);
      done.Notify();
    });
  });
  EXPECT_TRUE(posted.ok()) << posted;
  done.WaitForNotification();
  return outcome;
}

TEST(GrpcShardControlTest, AShardThatIsNotThereFailsTheCallOnTheLoop) {
  base::Loop loop(kMaxQueued);
  GrpcShardControl control(loop);
  const absl::Status load =
      Outcome(loop, [&](auto done) { control.Load(kNobody, {}, {}, std::move(done)); });
  EXPECT_EQ(load.code(), absl::StatusCode::kUnavailable) << load;
  const absl::Status unload =
      Outcome(loop, [&](auto done) { control.Unload(kNobody, {}, {}, std::move(done)); });
  EXPECT_EQ(unload.code(), absl::StatusCode::kUnavailable) << unload;
}

TEST(GrpcShardControlTest, NothingStartsAfterCancelAll) {
  base::Loop loop(kMaxQueued);
  GrpcShardControl control(loop);
  control.CancelAll();
  const absl::Status load =
      Outcome(loop, [&](auto done) { control.Load(kNobody, {}, {}, std::move(done)); });
  EXPECT_EQ(load.code(), absl::StatusCode::kCancelled) << load;
}

/// Each time the last channel of the process goes with the control: were it one of gRPC's callback
/// threads that let it go, it would have to join itself (ThreadSanitizer names the thread).
TEST(GrpcShardControlTest, AControlMayGoWithItsLastCall) {
  for (int i = 0; i < 50; ++i) {
    base::Loop loop(kMaxQueued);
    GrpcShardControl control(loop);
    absl::Notification started;
    const absl::Status posted = loop.Post([&] {
      control.Load(kNobody, {}, {}, [](const absl::Status&) {});
      started.Notify();
    });
    ASSERT_TRUE(posted.ok()) << posted;
    started.WaitForNotification();
  }
}

}  // namespace
}  // namespace moesaic::placement
