#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "monitoring/ledger/ledger_row.h"
#include "monitoring/ledger/ledger_store.h"
#include "monitoring/ledger/row_queue.h"
#include "monitoring/registry.h"
#include "monitoring/usage_sink.h"

namespace moesaic::monitoring {

/// The usage ledger of one process: rows go to a queue file at once, and from there to a database,
/// which may be away for as long as the queue has room. Owns a thread that syncs the file in groups
/// and one that follows with the database. Thread-safe.
class Ledger final : public UsageSink {
 public:
  struct Options {
    std::string url;  ///< sqlite:PATH or postgresql://…
    RowQueue::Options queue;
    /// Rows that come within this time are synced together, and stored together.
    absl::Duration sync_interval = absl::Milliseconds(50);
    absl::Duration store_interval = absl::Milliseconds(250);
    absl::Duration first_retry = absl::Milliseconds(250);  ///< Doubles up to the longest.
    absl::Duration longest_retry = absl::Seconds(10);
  };

  /// Does not wait for the database. Errors: InvalidArgument for a bad address; those of
  /// RowQueue::Open.
  static absl::StatusOr<std::unique_ptr<Ledger>> Start(Options options, Registry& metrics);
  ~Ledger() override;

  void Append(UsageRecord record) override { AppendRow(std::move(record)); }
  void AppendRow(LedgerRow row);

  /// Stores what is queued, for at most `grace`, and stops; the rest stays in the queue file for
  /// the next process. Rows that come later are still queued. Idempotent.
  void Stop(absl::Duration grace);

 private:
  Ledger(Options options, std::unique_ptr<RowQueue> queue, Registry& metrics);
  void SyncLoop();
  void FollowLoop();
  /// Moves one batch. Returns false when the database refused it and it is to be tried again.
  bool MoveBatch();
  absl::Status StoreBatch(const std::vector<LedgerRow>& rows);
  /// One by one, leaving out what the database will never take.
  absl::Status StoreSingly(const std::vector<LedgerRow>& rows);
  absl::Status Connect();
  void CountFailure(const absl::Status& status);
  /// Waits until `duration` has passed or Stop is called; returns whether it was.
  bool Pause(absl::Duration duration);
  void Drop(const absl::Status& why);

  const Options options_;
  const std::unique_ptr<RowQueue> queue_;
  Gauge waiting_;
  Counter queued_;
  Counter stored_;
  Counter dropped_;
  Counter errors_;

  std::unique_ptr<LedgerStore> store_;  // the follower's; null while not connected
  bool away_ = false;                   // the follower's: it has been said that it is away

  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;  // the follower has nothing left, or gave up
  absl::Time drop_logged_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::atomic<bool> give_up_{false};  ///< The grace is over.

  std::thread syncer_;
  std::thread follower_;
};

}  // namespace moesaic::monitoring
