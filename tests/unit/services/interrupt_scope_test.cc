#include "services/cli/interrupt_scope.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace moesaic::services {
namespace {

bool Readable(int fd) {
  pollfd waited{fd, POLLIN, 0};
  return ::poll(&waited, 1, 0) == 1;
}

TEST(InterruptScopeTest, AnInterruptIsSeenAndForgotten) {
  {
    const InterruptScope scope;
    ASSERT_GE(scope.fd(), 0);
    EXPECT_FALSE(Readable(scope.fd()));
    ::raise(SIGINT);
    EXPECT_TRUE(Readable(scope.fd()));
  }
  // Had it been left pending, it would have ended this process.
  const InterruptScope next;
  EXPECT_FALSE(Readable(next.fd()));
}

TEST(InterruptScopeTest, TheSignalWorksAgainAfterwards) {
  { const InterruptScope scope; }
  EXPECT_EXIT(::raise(SIGINT), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace moesaic::services
