#include "monitoring/ledger/row_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/monitoring/ledger/scratch_folder.h"

namespace moesaic::monitoring {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RowQueueTest : public ::testing::Test {
 protected:
  std::unique_ptr<RowQueue> Open(std::uint64_t max_bytes = 1 << 20,
                                 std::uint64_t segment_bytes = 100) {
    auto queue = RowQueue::Open({folder_.Path("queue"), max_bytes, segment_bytes});
    EXPECT_TRUE(queue.ok()) << queue.status();
    return *std::move(queue);
  }

  /// Reads and delivers everything.
  static std::vector<std::string> Drain(RowQueue& queue) {
    std::vector<std::string> all;
    while (queue.records() > 0) {
      const RowQueue::Batch batch = queue.Read(3).value();
      all.insert(all.end(), batch.records.begin(), batch.records.end());
      EXPECT_TRUE(queue.Deliver(batch).ok());
    }
    return all;
  }

  /// Adds bytes to the end of the newest segment, as a torn write would.
  void Damage(std::string_view bytes, bool at_end = true) {
    std::vector<std::string> segments;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.Path("queue"))) {
      const std::string path = entry.path().string();
      if (path.find("segment-") != std::string::npos && entry.file_size() > 0) {
        segments.push_back(path);
      }
    }
    std::sort(segments.begin(), segments.end());
    std::fstream file(segments.back(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at_end ? 0 : 10, at_end ? std::ios::end : std::ios::beg);
    file << bytes;
  }

  const ScratchFolder folder_;
};

TEST_F(RowQueueTest, KeepsTheOrderOverSegmentsAndProcesses) {
  std::vector<std::string> expected;
  for (int process = 0; process < 3; ++process) {
    const auto queue = Open();
    for (int i = 0; i < 10; ++i) {
      expected.push_back(absl::StrCat("record ", process, ".", i));
      ASSERT_TRUE(queue->Append(expected.back()).ok());
    }
    ASSERT_TRUE(queue->Sync().ok());
  }
  EXPECT_EQ(Open()->records(), 30u);
  const auto queue = Open();
  EXPECT_EQ(Drain(*queue), expected);
  EXPECT_THAT(queue->Read(1).value().records, IsEmpty());
}

TEST_F(RowQueueTest, ACursorWithinARecordStandsBeforeIt) {
  const std::string first(50, 'a');  // and 8 bytes before it
  const std::pair<const char*, std::vector<std::string>> cursors[] = {
      {"1 5", {first, "b"}}, {"1 58", {"b"}}, {"1 60", {"b"}}, {"1 1000", {}}};
  for (const auto& [cursor, left] : cursors) {
    {
      const auto queue = Open(200);
      ASSERT_TRUE(queue->Append(first).ok() && queue->Append("b").ok());
    }
    std::ofstream(folder_.Path("queue/cursor")) << cursor << "\n";
    const auto queue = Open(200);
    EXPECT_EQ(Drain(*queue), left) << cursor;
    EXPECT_EQ(queue->records(), 0u) << cursor;
    // All of the room is free again.
    EXPECT_TRUE(queue->Append("c").ok() && queue->Append(std::string(180, 'x')).ok()) << cursor;
    std::filesystem::remove_all(folder_.Path("queue"));
  }
}

TEST_F(RowQueueTest, WhatWasDeliveredDoesNotComeAgain) {
  {
    const auto queue = Open();
    for (const char* record : {"a", "b", "c", "d"}) ASSERT_TRUE(queue->Append(record).ok());
    ASSERT_TRUE(queue->Deliver(queue->Read(3).value()).ok());
    // Read, but not delivered.
    EXPECT_THAT(queue->Read(3).value().records, ElementsAre("d"));
  }
  const auto queue = Open();
  ASSERT_TRUE(queue->Append("e").ok());
  EXPECT_THAT(Drain(*queue), ElementsAre("d", "e"));
  // Nothing but the segment being written is left behind: that, cursor and lock.
  const auto files = std::filesystem::directory_iterator(folder_.Path("queue"));
  EXPECT_EQ(std::distance(begin(files), end(files)), 3);
}

TEST_F(RowQueueTest, ATornTailCostsOnlyItself) {
  ASSERT_TRUE(Open()->Append("whole").ok());
  for (const std::string_view torn :
       {std::string_view("\x07", 1), std::string_view("\x40\0\0\0abc", 7),
        std::string_view("\0\0\0\0\0\0\0\0\0", 9)}) {
    Damage(torn);
    const auto queue = Open();
    EXPECT_EQ(queue->lost_bytes(), torn.size());
    EXPECT_EQ(queue->records(), 1u);
    ASSERT_TRUE(queue->Append("later").ok());
    EXPECT_THAT(Drain(*queue), ElementsAre("whole", "later"));
    ASSERT_TRUE(queue->Append("whole").ok());
  }
}

TEST_F(RowQueueTest, DamageWhileItIsOpenCostsTheRestOfTheSegment) {
  const auto queue = Open(1 << 20, 1000);
  for (const char* record : {"first record", "second record", "third"}) {
    ASSERT_TRUE(queue->Append(record).ok());
  }
  Damage("XX", /*at_end=*/false);
  EXPECT_THAT(queue->Read(10).value().records, IsEmpty());
  EXPECT_EQ(queue->records(), 0u);
  ASSERT_TRUE(queue->Append("fourth").ok());
  EXPECT_THAT(Drain(*queue), ElementsAre("fourth"));
}

TEST_F(RowQueueTest, DamageIsPassedOnceAlsoByWhoDeliversAllHeReads) {
  const auto queue = Open(/*max_bytes=*/1000, /*segment_bytes=*/1000);
  for (const char* record : {"first record", "second record"}) {
    ASSERT_TRUE(queue->Append(record).ok());
  }
  Damage("XX", /*at_end=*/false);
  for (int i = 0; i < 5; ++i) {
    const RowQueue::Batch batch = queue->Read(10).value();
    EXPECT_THAT(batch.records, IsEmpty());
    ASSERT_TRUE(queue->Deliver(batch).ok());
  }
  EXPECT_EQ(queue->lost_bytes(), 2 * 8 + 12u + 13u);
  ASSERT_TRUE(queue->Append("third").ok()) << "it is not full";
  EXPECT_THAT(Drain(*queue), ElementsAre("third"));
}

TEST_F(RowQueueTest, IsBounded) {
  const auto queue = Open(/*max_bytes=*/100);
  int kept = 0;
  absl::Status status;
  while ((status = queue->Append("0123456789")).ok()) ++kept;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(kept, 5);
  EXPECT_EQ(queue->records(), 5u);
  ASSERT_TRUE(queue->Deliver(queue->Read(1).value()).ok());
  EXPECT_TRUE(queue->Append("0123456789").ok());
  EXPECT_EQ(queue->Append("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(queue->Append(std::string(1 << 20, 'x')).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RowQueueTest, BelongsToOneProcess) {
  const auto queue = Open();
  const auto second = RowQueue::Open({folder_.Path("queue")});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
}

TEST_F(RowQueueTest, SurvivesAKillInTheMiddle) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto queue = RowQueue::Open({folder_.Path("queue"), 1 << 20, 1000});
    for (unsigned char i = 0; i < 200; ++i) {
      const bool told = queue.ok() && (*queue)->Append(std::string(1 + i, 'a' + i % 26)).ok() &&
                        ::write(pipe[1], &i, 1) == 1;
      if (!told) ::_exit(1);
    }
    ::pause();
  }
  // It is killed while it writes; everything it said it had kept is there.
  unsigned char last = 0;
  for (int i = 0; i < 50; ++i) ASSERT_EQ(::read(pipe[0], &last, 1), 1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(pipe[1]);
  while (::read(pipe[0], &last, 1) == 1) {
  }
  ::close(pipe[0]);
  const auto queue = Open();
  const std::vector<std::string> records = Drain(*queue);
  ASSERT_GE(records.size(), last + 1u);
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].size(), i + 1);
}

TEST_F(RowQueueTest, ManyWritersOneReader) {
  const auto queue = Open(1 << 20, 4096);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&queue, writer] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(queue->Append(absl::StrCat(writer, ":", i)).ok());
      }
    });
  }
  std::thread syncer([&queue] {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue->Sync().ok());
  });
  std::vector<std::string> seen;
  while (seen.size() < 800) {
    queue->AwaitRecords(absl::Seconds(10));
    for (std::string& record : Drain(*queue)) seen.push_back(std::move(record));
  }
  for (std::thread& writer : writers) writer.join();
  syncer.join();
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

}  // namespace
}  // namespace moesaic::monitoring
