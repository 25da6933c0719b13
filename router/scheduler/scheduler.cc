#include "router/scheduler/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/retry_delay.h"
#include "base/status_macros.h"
#include "router/admission/queue_admission.h"
#include "router/scheduler/work_meter.h"

namespace moesaic::router {
namespace {

/// How often overdue generations are looked for, and the loop shows that it lives.
constexpr absl::Duration kTickInterval = absl::Milliseconds(50);
/// A loop silent for this long serves nobody. Far above any single task it runs.
constexpr absl::Duration kLoopDeadAfter = absl::Seconds(10);
/// Weight of the newest observation in the smoothed admission interval.
constexpr double kAdmissionSmoothing = 0.1;

/// Rows of prompts that every step has room for: prompts go on whatever the predictions are.
constexpr std::int32_t kLeastPrefillRows = 16;

absl::Status CheckPositive(std::int64_t value, const char* name) {
  if (value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be positive, is ", value));
}

SchedulerOptions Resolve(SchedulerOptions options) {
  // Every running sequence then advances in every step (SchedulingSnapshot).
  options.max_num_seqs = std::min(options.max_num_seqs, options.max_step_tokens);
  options.bounds.limits.kv_capacity_tokens = options.kv_blocks * options.block_tokens;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(SchedulerOptions options,
                                                             StepRunner& runner, base::Loop& loop,
                                                             const base::Clock& clock) {
  MOESAIC_RETURN_IF_ERROR(CheckPositive(options.kv_blocks, "kv_blocks"));
  MOESAIC_RETURN_IF_ERROR(CheckPositive(options.block_tokens, "block_tokens"));
  MOESAIC_RETURN_IF_ERROR(CheckPositive(options.max_num_seqs, "max_num_seqs"));
  MOESAIC_RETURN_IF_ERROR(CheckPositive(options.max_step_tokens, "max_step_tokens"));
  MOESAIC_RETURN_IF_ERROR(CheckPositive(options.max_queue, "max_queue"));
  if (const int count = options.micro_batches.value_or(1);
      count < 1 || count > StepTimeModel::kMaxMicroBatches) {
    return absl::InvalidArgumentError(absl::StrCat("micro_batches must be 1 or 2, is ", count));
  }
  std::unique_ptr<Scheduler> scheduler(
      new Scheduler(Resolve(std::move(options)), runner, loop, clock));
  MOESAIC_RETURN_IF_ERROR(loop.Post([s = scheduler.get()] { s->Tick(); }));
  return scheduler;
}

Scheduler::Scheduler(SchedulerOptions options, StepRunner& runner, base::Loop& loop,
                     const base::Clock& clock)
    : options_(std::move(options)),
      rules_{.eos_token_ids = options_.eos_token_ids,
             .routing_width = options_.bounds.moe_layers * options_.bounds.top_k},
      runner_(runner),
      loop_(loop),
      clock_(clock),
      kv_(options_.kv_blocks),
      step_times_(options_.micro_batches),
      heartbeat_ns_(absl::ToInt64Nanoseconds(clock.Monotonic())) {}

absl::StatusOr<std::uint64_t> Scheduler::Submit(GenerationRequest request, Sink sink) {
  MOESAIC_RETURN_IF_ERROR(CheckRequest(request, options_.bounds));
  std::uint64_t handle = 0;
  {
    base::MutexLock lock(mutex_);
    MOESAIC_RETURN_IF_ERROR(AdmitToQueue({.waiting = queued_,
                                          .max_queue = options_.max_queue,
                                          .draining = draining_,
                                          .admission_interval = admission_interval_}));
    handle = next_handle_++;
    ++queued_;
    ++accepted_;
  }
  auto sequence = std::make_unique<Sequence>(handle, std::move(request), std::move(sink), rules_,
                                             clock_.Monotonic());
  absl::Status posted = loop_.Post(
      [this, sequence = std::move(sequence)]() mutable { Enqueue(std::move(sequence)); });
  if (posted.ok()) return handle;
  base::MutexLock lock(mutex_);
  --queued_;
  --accepted_;
  return base::WithRetryDelay(std::move(posted), absl::Seconds(1));
}

void Scheduler::Cancel(std::uint64_t handle) {
  loop_.PostCompletion([this, handle] { CancelNow(handle); });
}

absl::Status Scheduler::Ready() const {
  {
    base::MutexLock lock(mutex_);
    if (draining_) return absl::UnavailableError("the router is draining");
  }
  const absl::Duration silent =
      clock_.Monotonic() - absl::Nanoseconds(heartbeat_ns_.load(std::memory_order_relaxed));
  if (silent > kLoopDeadAfter) {
    return absl::UnavailableError(
        absl::StrCat("the scheduler has been silent for ", absl::FormatDuration(silent)));
  }
  return runner_.Ready();
}

void Scheduler::StartDrain() {
  base::MutexLock lock(mutex_);
  draining_ = true;
}

bool Scheduler::Idle() const {
  base::MutexLock lock(mutex_);
  return accepted_ == 0;
}

Scheduler::Stats Scheduler::stats() const {
  base::MutexLock lock(mutex_);
  return published_;
}

void Scheduler::Enqueue(SequencePtr sequence) {
  InsertWaiting(std::move(sequence));
  MaybeStartStep();
}

void Scheduler::InsertWaiting(SequencePtr sequence) {
  const auto older = [](const SequencePtr& a, const SequencePtr& b) {
    return a->handle() < b->handle();
  };
  counters_.waiting_bytes += sequence->prompt_bytes();
  waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), sequence, older),
                  std::move(sequence));
}

void Scheduler::CancelNow(std::uint64_t handle) {
  const auto matches = [handle](const SequencePtr& s) { return s->handle() == handle; };
  if (auto it = std::find_if(waiting_.begin(), waiting_.end(), matches); it != waiting_.end()) {
    TakeWaiting(it);
  } else if (auto at = std::find_if(running_.begin(), running_.end(), matches);
             at != running_.end()) {
    (*at)->cancelled = true;
    if (!(*at)->in_step) Retire(**at);
  }
  MaybeStartStep();
}

void Scheduler::Tick() {
  const absl::Duration now = clock_.Monotonic();
  heartbeat_ns_.store(absl::ToInt64Nanoseconds(now), std::memory_order_relaxed);
  DropOverdue(now);
  MaybeStartStep();
  loop_.PostAfter(kTickInterval, [this] { Tick(); });
}

void Scheduler::DropOverdue(absl::Duration now) {
  const auto overdue = [now](const Sequence& s) { return s.deadline() <= now && !s.cancelled; };
  const auto fail = [now](Sequence& s) {
    s.Fail(absl::DeadlineExceededError("the request's time is over"), now);
    s.Report();
  };
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    if (overdue(*waiting_[i])) fail(*TakeWaiting(waiting_.begin() + i));
  }
  for (std::size_t i = running_.size(); i-- > 0;) {
    Sequence& sequence = *running_[i];
    if (!overdue(sequence)) continue;
    if (sequence.in_step) {  // the step borrows from it: it leaves when that is done
      sequence.cancelled = true;
      fail(sequence);
    } else {
      fail(*Retire(sequence));
    }
  }
}

SchedulingSnapshot Scheduler::Snapshot() const {
  SchedulingSnapshot snapshot{.running = {},
                              .waiting = {},
                              .free_blocks = kv_.free_blocks(),
                              .block_tokens = options_.block_tokens,
                              .max_step_tokens = options_.max_step_tokens,
                              .max_num_seqs = options_.max_num_seqs};
  snapshot.running.reserve(running_.size());
  for (const SequencePtr& sequence : running_) snapshot.running.push_back(sequence->Snapshot());
  for (const SequencePtr& sequence : waiting_) {
    if (static_cast<int>(snapshot.waiting.size()) == options_.max_num_seqs) break;
    snapshot.waiting.push_back(sequence->Snapshot());
  }
  if (const std::int32_t decodes = CountDecodes(snapshot); decodes > 0) {
    snapshot.max_beside_decodes =
        step_times_.PrefillRowsWithin(absl::ToDoubleSeconds(options_.max_step_time), decodes,
                                      kLeastPrefillRows, options_.max_step_tokens);
  }
  return snapshot;
}

void Scheduler::MaybeStartStep() {
  if (!step_.empty() || (running_.empty() && waiting_.empty())) return;
  StepPlan plan = FormBatch(Snapshot());
  // Slices speak of running and admitted sequences by number: resolve before either list changes.
  std::vector<StepEntry> entries;
  entries.reserve(plan.slices.size());
  for (const StepPlan::Slice& slice : plan.slices) {
    const std::size_t index = slice.index;
    Sequence* sequence =
        index < running_.size() ? running_[index].get() : waiting_[index - running_.size()].get();
    entries.push_back({sequence, slice.tokens});
  }
  Admit(plan.admitted);
  Preempt(plan.preempted);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const bool allocated =
        kv_.Allocate(plan.slices[i].new_blocks, entries[i].sequence->block_table());
    MOESAIC_CHECK(allocated);  // FormBatch counted them
  }
  PublishStats();
  if (!entries.empty()) RunStep(std::move(entries));
}

void Scheduler::Preempt(const std::vector<std::int32_t>& indices) {
  for (const std::int32_t index : indices) {  // from the youngest: later indices stay valid
    SequencePtr sequence = std::move(running_[index]);
    running_.erase(running_.begin() + index);
    kv_.Release(sequence->block_table());
    sequence->Preempt();
    InsertWaiting(std::move(sequence));
    ++counters_.preemptions;
  }
}

void Scheduler::Admit(std::int32_t count) {
  const absl::Duration now = clock_.Monotonic();
  for (; count > 0; --count) {
    SequencePtr sequence = std::move(waiting_.front());
    waiting_.pop_front();
    counters_.waiting_bytes -= sequence->prompt_bytes();
    if (sequence->Start(now)) {
      if (options_.metrics != nullptr) {
        options_.metrics->queue_wait.Observe(absl::ToDoubleSeconds(now - sequence->submitted()));
      }
      base::MutexLock lock(mutex_);
      --queued_;
      const absl::Duration interval = now - std::exchange(last_admission_, now);
      if (interval < absl::Minutes(1)) {
        admission_interval_ += (interval - admission_interval_) * kAdmissionSmoothing;
      }
    }
    const auto older = [](const SequencePtr& a, const SequencePtr& b) {
      return a->handle() < b->handle();
    };
    running_.insert(std::upper_bound(running_.begin(), running_.end(), sequence, older),
                    std::move(sequence));
  }
}

void Scheduler::RunStep(std::vector<StepEntry> entries) {
  step_ = std::move(entries);
  StepBatch batch;
  batch.slices.reserve(step_.size());
  step_started_ = clock_.Monotonic();
  for (StepEntry& entry : step_) {
    entry.sequence->in_step = true;
    batch.slices.push_back(entry.sequence->MakeSlice(entry.tokens));
    const StepSlice& slice = batch.slices.back();
    entry.prefill_rows = std::clamp(slice.prompt_length - slice.first_position, 0, entry.tokens);
    entry.samples = slice.sample.has_value();
    if (entry.sequence->trace() != nullptr && timeline_ == nullptr) {
      timeline_ = std::make_shared<StepTimeline>(clock_);
    }
    counters_.step_tokens += entry.tokens;
  }
  ++counters_.steps;
  batch.micro_batches = MicroBatches();
  batch.timeline = timeline_;
  runner_.Run(std::move(batch), [this](StepResult result) { FinishStep(std::move(result)); });
}

int Scheduler::MicroBatches() {
  if (step_.size() < 2) return 1;
  StepRows rows;
  for (const StepEntry& entry : step_) {
    rows.prefill += entry.prefill_rows;
    rows.decode += entry.tokens - entry.prefill_rows;
  }
  return step_times_.ChooseMicroBatches(rows);
}

void Scheduler::FinishStep(StepResult result) {
  const absl::Duration now = clock_.Monotonic();
  const absl::Duration started = step_started_;
  const std::vector<StepEntry> step = std::exchange(step_, {});
  // Counted before anybody learns of it: a scrape after an answer shows the answer's steps.
  ShareOut(step, result);
  StepSample sample = RecordStep(step, result);
  step_times_.Add({.prefill = sample.prefill_rows, .decode = sample.decode_rows},
                  result.micro_batches, absl::ToDoubleSeconds(now - started));
  TraceStep(step, result.times, now);
  for (std::size_t i = 0; i < step.size(); ++i) {
    Sequence& sequence = *step[i].sequence;
    sequence.in_step = false;
    counters_.degraded_tokens += result.slices[i].degraded_tokens;
    if (sequence.cancelled) {
      Retire(sequence);
    } else if (sequence.Absorb(step[i].tokens, std::move(result.slices[i]), now)) {
      // What it held is free before anybody learns of its end.
      Retire(sequence)->Report();
    } else {
      sequence.Report();
    }
  }
  DropOverdue(now);
  MaybeStartStep();
  if (!options_.on_step) return;
  const absl::Duration next = step_.empty() ? clock_.Monotonic() : step_started_;
  sample.seconds = absl::ToDoubleSeconds(next - started);
  options_.on_step(sample);
}

void Scheduler::ShareOut(const std::vector<StepEntry>& step, StepResult& result) {
  const double busy = result.times.busy();
  std::int64_t rows = 0;
  for (const StepEntry& entry : step) rows += entry.tokens;
  const std::optional<double> price =
      options_.price_per_second ? options_.price_per_second() : std::nullopt;
  const auto charge = [&](std::int32_t of_rows, monitoring::WorkCost& work) {
    const double seconds = busy * of_rows / static_cast<double>(rows);
    work.router_seconds += seconds;
    if (price) {
      work.cost += seconds * *price;
    } else {
      work.unpriced_seconds += seconds;
    }
  };
  for (std::size_t i = 0; i < step.size(); ++i) {
    SliceWork& work = result.slices[i].work;
    charge(step[i].prefill_rows, work.prefill);
    charge(step[i].tokens - step[i].prefill_rows, work.decode);
    if (step[i].sequence->meter()) step[i].sequence->meter()->Add(work, result.times);
  }
  counters_.busy_seconds += busy;
}

StepSample Scheduler::RecordStep(const std::vector<StepEntry>& step, const StepResult& result) {
  StepSample sample{.experts = result.experts, .times = result.times};
  for (const StepEntry& entry : step) {
    sample.prefill_rows += entry.prefill_rows;
    sample.decode_rows += entry.tokens - entry.prefill_rows;
    sample.sampled_rows += entry.samples;
  }
  counters_.prompt_tokens += sample.prefill_rows;
  counters_.generated_tokens += sample.sampled_rows;
  if (options_.metrics == nullptr) return sample;
  SchedulerMetrics& metrics = *options_.metrics;
  const std::int32_t rows = sample.prefill_rows + sample.decode_rows;
  const double busy_per_row = sample.times.busy() / rows;
  SchedulerMetrics::OfSteps& of_steps = sample.prefill_rows > 0 ? metrics.prefill : metrics.decode;
  of_steps.steps.Increment();
  of_steps.rows.Increment(rows);
  metrics.by_micro_batches[result.micro_batches - 1].Increment();
  metrics.step_duration.Observe(sample.times.total());
  metrics.step_tokens.Observe(rows);
  metrics.busy_prefill.Increment(busy_per_row * sample.prefill_rows);
  metrics.busy_decode.Increment(busy_per_row * sample.decode_rows);
  for (std::size_t phase = 0; phase < kStepPhases; ++phase) {
    of_steps.phases[phase].Increment(sample.times.seconds[phase]);
  }
  return sample;
}

void Scheduler::TraceStep(const std::vector<StepEntry>& step, const StepTimes& times,
                          absl::Duration now) {
  const std::shared_ptr<StepTimeline> timeline = std::exchange(timeline_, nullptr);
  if (timeline == nullptr) return;
  std::int32_t rows = 0;
  for (const StepEntry& entry : step) rows += entry.tokens;
  std::vector<std::pair<std::string_view, double>> phases;
  for (std::size_t phase = 0; phase < kStepPhases; ++phase) {
    phases.emplace_back(kStepPhaseNames[phase], times.seconds[phase]);
  }
  timeline->Finish(now, rows, std::move(phases));
  for (const StepEntry& entry : step) {
    if (entry.sequence->trace() == nullptr) continue;
    entry.sequence->trace()->AddStep(timeline, {.started = timeline->started(),
                                                .ended = now,
                                                .rows = entry.tokens,
                                                .prefill_rows = entry.prefill_rows});
  }
}

Scheduler::SequencePtr Scheduler::Retire(Sequence& sequence) {
  kv_.Release(sequence.block_table());
  Ended(sequence);
  const auto at = std::find_if(running_.begin(), running_.end(),
                               [&](const SequencePtr& s) { return s.get() == &sequence; });
  SequencePtr taken = std::move(*at);
  running_.erase(at);
  PublishStats();
  return taken;
}

Scheduler::SequencePtr Scheduler::TakeWaiting(std::deque<SequencePtr>::iterator at) {
  SequencePtr taken = std::move(*at);
  waiting_.erase(at);
  counters_.waiting_bytes -= taken->prompt_bytes();
  Ended(*taken);
  PublishStats();
  return taken;
}

void Scheduler::Ended(const Sequence& sequence) {
  base::MutexLock lock(mutex_);
  --accepted_;
  if (!sequence.started()) --queued_;
}

void Scheduler::PublishStats() {
  counters_.waiting = static_cast<int>(waiting_.size());
  counters_.running = static_cast<int>(running_.size());
  counters_.kv_blocks_in_use = kv_.total_blocks() - kv_.free_blocks();
  base::MutexLock lock(mutex_);
  published_ = counters_;
}

}  // namespace moesaic::router
