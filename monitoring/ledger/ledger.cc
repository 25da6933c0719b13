#include "monitoring/ledger/ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "monitoring/catalogue.h"

namespace moesaic::monitoring {
namespace {

constexpr std::size_t kBatchRows = 500;
constexpr absl::Duration kLogEvery = absl::Seconds(10);
/// How long the follower sleeps at most when nothing comes.
constexpr absl::Duration kIdle = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Start(Options options, Registry& metrics) {
  MOESAIC_RETURN_IF_ERROR(CheckLedgerUrl(options.url));
  MOESAIC_ASSIGN_OR_RETURN(std::unique_ptr<RowQueue> queue, RowQueue::Open(options.queue));
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(options), std::move(queue), metrics));
  ledger->syncer_ = std::thread([self = ledger.get()] { self->SyncLoop(); });
  ledger->follower_ = std::thread([self = ledger.get()] { self->FollowLoop(); });
  return ledger;
}

Ledger::Ledger(Options options, std::unique_ptr<RowQueue> queue, Registry& metrics)
    : options_(std::move(options)),
      queue_(std::move(queue)),
      waiting_(metrics.Get(metrics::kLedgerQueueRecords)),
      queued_(metrics.Get(metrics::kLedgerRecordsTotal, {"queued"})),
      stored_(metrics.Get(metrics::kLedgerRecordsTotal, {"stored"})),
      dropped_(metrics.Get(metrics::kLedgerRecordsTotal, {"dropped"})),
      errors_(metrics.Get(metrics::kLedgerErrorsTotal)) {
  waiting_.Set(static_cast<double>(queue_->records()));
}

Ledger::~Ledger() { Stop(absl::ZeroDuration()); }

void Ledger::AppendRow(LedgerRow row) {
  const absl::Status appended = queue_->Append(EncodeRow(row));
  if (!appended.ok()) return Drop(appended);
  queued_.Increment();
  waiting_.Set(static_cast<double>(queue_->records()));
}

void Ledger::Drop(const absl::Status& why) {
  dropped_.Increment();
  {
    base::MutexLock lock(mutex_);
    const absl::Time now = base::Clock::Real().Now();
    if (now - drop_logged_ < kLogEvery) return;
    drop_logged_ = now;
  }
  base::LogError("usage records are lost: ", why.message());
}

bool Ledger::Pause(absl::Duration duration) {
  base::MutexLock lock(mutex_);
  if (!stopping_) changed_.WaitFor(mutex_, duration);
  return stopping_;
}

void Ledger::SyncLoop() {
  bool stopping = false;
  do {
    stopping = Pause(options_.sync_interval);
    const absl::Status synced = queue_->Sync();
    if (!synced.ok()) base::LogError("usage ledger: ", synced.message());
  } while (!stopping);
}

void Ledger::FollowLoop() {
  absl::Duration retry = options_.first_retry;
  // Before there is anything to store: reports can be asked for, and a mistake shows at once.
  if (const absl::Status connected = Connect(); !connected.ok()) CountFailure(connected);
  while (!give_up_) {
    const bool stopping = Pause(options_.store_interval);
    if (queue_->records() == 0) {
      if (stopping) break;
      queue_->AwaitRecords(kIdle);
    } else if (MoveBatch()) {
      retry = options_.first_retry;
    } else {
      stopping ? absl::SleepFor(options_.first_retry) : void(Pause(retry));
      retry = std::min(2 * retry, options_.longest_retry);
    }
    waiting_.Set(static_cast<double>(queue_->records()));
  }
  store_.reset();
  base::MutexLock lock(mutex_);
  stopped_ = true;
  changed_.NotifyAll();
}

bool Ledger::MoveBatch() {
  absl::StatusOr<RowQueue::Batch> batch = queue_->Read(kBatchRows);
  absl::Status status = batch.status();
  if (batch.ok()) {
    std::vector<LedgerRow> rows;
    for (const std::string& record : batch->records) {
      std::optional<LedgerRow> row = DecodeRow(record);
      row ? rows.push_back(*std::move(row)) : Drop(absl::DataLossError("not a ledger row"));
    }
    status = StoreBatch(rows);
  }
  if (status.ok()) status = queue_->Deliver(*batch);
  if (!status.ok()) {
    CountFailure(status);
    return false;
  }
  if (std::exchange(away_, false)) base::LogInfo("usage records reach the ledger again");
  return true;
}

void Ledger::CountFailure(const absl::Status& status) {
  errors_.Increment();
  store_ = nullptr;
  if (!std::exchange(away_, true)) {
    base::LogWarning("usage records wait in the queue file: ", status.message());
  }
}

absl::Status Ledger::Connect() {
  if (store_ != nullptr) return absl::OkStatus();
  MOESAIC_ASSIGN_OR_RETURN(store_, LedgerStore::Open(options_.url, SqlAccess::kReadWrite));
  return absl::OkStatus();
}

absl::Status Ledger::StoreBatch(const std::vector<LedgerRow>& rows) {
  if (rows.empty()) return absl::OkStatus();
  MOESAIC_RETURN_IF_ERROR(Connect());
  const absl::Status status = store_->Store(rows);
  if (absl::IsInvalidArgument(status)) return StoreSingly(rows);
  if (status.ok()) stored_.Increment(static_cast<double>(rows.size()));
  return status;
}

absl::Status Ledger::StoreSingly(const std::vector<LedgerRow>& rows) {
  for (const LedgerRow& row : rows) {
    const absl::Status status = store_->Store({row});
    if (absl::IsInvalidArgument(status)) {
      Drop(status);
    } else if (!status.ok()) {
      return status;
    } else {
      stored_.Increment();
    }
  }
  return absl::OkStatus();
}

void Ledger::Stop(absl::Duration grace) {
  const base::Clock& clock = base::Clock::Real();
  const absl::Duration until = clock.Monotonic() + grace;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  queue_->Interrupt();
  {
    base::MutexLock lock(mutex_);
    while (!stopped_ && clock.Monotonic() < until) {
      changed_.WaitFor(mutex_, until - clock.Monotonic());
    }
  }
  give_up_ = true;
  if (syncer_.joinable()) syncer_.join();
  if (follower_.joinable()) follower_.join();
}

}  // namespace moesaic::monitoring
