#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace moesaic::monitoring {

/// A queue of records on disk, between the requests and the database: append-only segment files
/// with a length and a checksum before each record, and a cursor file that says what has been
/// delivered. Append hands the record to the kernel before it returns, so it survives a kill of the
/// process; Sync makes it survive the machine's. A record that was torn is dropped with what
/// follows it in its segment. One process at a time. Thread-safe.
class RowQueue {
 public:
  struct Options {
    std::string directory;                                 ///< Made when missing; ours alone.
    std::uint64_t max_bytes = std::uint64_t{256} << 20;    ///< Of undelivered records.
    std::uint64_t segment_bytes = std::uint64_t{4} << 20;  ///< When a new segment is begun.
  };
  /// A place between two records.
  struct Position {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    bool operator==(const Position&) const = default;
  };
  struct Batch {
    std::vector<std::string> records;
    Position end;
  };

  /// Finds what an earlier process left. Errors name the folder: FailedPrecondition when another
  /// process has it; DataLoss when it cannot be read or written.
  static absl::StatusOr<std::unique_ptr<RowQueue>> Open(Options options);
  ~RowQueue();
  RowQueue(const RowQueue&) = delete;
  RowQueue& operator=(const RowQueue&) = delete;

  /// Errors: ResourceExhausted when the queue is full; InvalidArgument for a record of more than a
  /// segment; DataLoss when the disk refuses it. Nothing of it is kept then.
  absl::Status Append(std::string_view record);
  /// Makes everything appended so far durable.
  absl::Status Sync();

  /// The oldest undelivered records, at most `max_records`; empty when there are none.
  absl::StatusOr<Batch> Read(std::size_t max_records);
  /// The batch read last has been delivered: it is not read again, also by a later process. One
  /// thread reads and delivers.
  absl::Status Deliver(const Batch& batch);

  /// Waits until there is something to read, for at most `timeout`, or until Interrupt.
  void AwaitRecords(absl::Duration timeout);
  void Interrupt();

  std::uint64_t records() const;     ///< Undelivered.
  std::uint64_t lost_bytes() const;  ///< Of torn or damaged records.

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;    ///< Of whole records.
    std::uint64_t records = 0;  ///< Of them, undelivered.
  };
  explicit RowQueue(Options options) : options_(std::move(options)) {}
  std::string SegmentPath(std::uint64_t number) const;
  absl::Status LockDirectory();
  absl::Status Recover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RecoverSegment(std::uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StartSegment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Removes segments that the cursor is through with; it then stands in the first that is left.
  void PassFinishedSegments() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Gives up what is left of the first segment; returns where to go on.
  Position DropDamaged();

  const Options options_;
  int lock_fd_ = -1;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mutex_);  ///< Ascending; the last is written.
  int fd_ ABSL_GUARDED_BY(mutex_) = -1;                   ///< Of the last segment.
  std::vector<int> full_ ABSL_GUARDED_BY(mutex_);         ///< Earlier segments not yet synced.
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;            ///< Something was appended since Sync.
  Position cursor_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t records_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  ///< Undelivered.
  std::uint64_t lost_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moesaic::monitoring
