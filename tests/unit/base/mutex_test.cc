#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>

namespace moesaic::base {
namespace {

TEST(MutexTest, GuardsAndWakes) {
  Mutex mutex;
  CondVar changed;
  int value = 0;
  std::thread writer([&] {
    for (int i = 0; i < 100; ++i) {
      MutexLock lock(mutex);
      ++value;
      changed.NotifyAll();
    }
  });
  {
    MutexLock lock(mutex);
    while (value < 100) changed.Wait(mutex);
    EXPECT_EQ(value, 100);
  }
  writer.join();
}

TEST(MutexTest, WaitForTimesOut) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  while (never.WaitFor(mutex, absl::Milliseconds(1))) {
  }
}

}  // namespace
}  // namespace moesaic::base
