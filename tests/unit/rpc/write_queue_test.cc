#include "rpc/write_queue.h"

#include <string>

#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

grpc::ByteBuffer Bytes(std::size_t count) {
  const grpc::Slice slice(std::string(count, 'x'));
  return grpc::ByteBuffer(&slice, 1);
}

TEST(WriteQueueTest, OneWriteAtATimeInOrder) {
  WriteQueue queue(1000);
  grpc::ByteBuffer a = Bytes(1), b = Bytes(2), c = Bytes(3), next;
  EXPECT_EQ(queue.Push(a), WriteQueue::Pushed::kStart);
  EXPECT_EQ(queue.Push(b), WriteQueue::Pushed::kQueued);
  EXPECT_EQ(queue.Push(c), WriteQueue::Pushed::kQueued);
  ASSERT_TRUE(queue.Written(next));
  EXPECT_EQ(next.Length(), 2u);
  ASSERT_TRUE(queue.Written(next));
  EXPECT_EQ(next.Length(), 3u);
  EXPECT_FALSE(queue.Written(next));
  EXPECT_EQ(queue.Push(a), WriteQueue::Pushed::kStart);
}

TEST(WriteQueueTest, WhatWaitsIsBounded) {
  WriteQueue queue(10);
  grpc::ByteBuffer huge = Bytes(100), ten = Bytes(10), one = Bytes(1), next;
  EXPECT_EQ(queue.Push(huge), WriteQueue::Pushed::kStart) << "it does not wait";
  EXPECT_EQ(queue.Push(ten), WriteQueue::Pushed::kQueued);
  EXPECT_EQ(queue.Push(one), WriteQueue::Pushed::kFull);
  ASSERT_TRUE(queue.Written(next));
  EXPECT_EQ(queue.Push(one), WriteQueue::Pushed::kQueued);
}

TEST(WriteQueueTest, CloseDropsWhatWaits) {
  WriteQueue queue(10);
  grpc::ByteBuffer a = Bytes(1), b = Bytes(1), next;
  EXPECT_EQ(queue.Push(a), WriteQueue::Pushed::kStart);
  EXPECT_EQ(queue.Push(b), WriteQueue::Pushed::kQueued);
  EXPECT_FALSE(queue.Close()) << "one write is in flight";
  EXPECT_EQ(queue.Push(b), WriteQueue::Pushed::kClosed);
  EXPECT_FALSE(queue.Written(next));
  EXPECT_TRUE(queue.Close());
}

}  // namespace
}  // namespace moesaic::rpc
