// What a decode step allocates. A binary of its own: it replaces operator new.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "base/mutex.h"
#include "router/engine/kv_store.h"
#include "router/router_core.h"
#include "tests/unit/router/router_harness.h"

namespace {
std::atomic<std::int64_t> allocations{0};

void* Counted(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, std::max(rounded, alignment));
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

void* operator new(std::size_t bytes) { return Counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return Counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace moesaic::router {
namespace {

/// Experts that add nothing, at once.
class IdleExperts final : public ExpertBackend {
 public:
  void Compute(const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done) override {
    std::fill_n(call.slots.As<float>(), call.slots.elements(), 0.0f);
    done({});
  }
  absl::Status Ready() const override { return absl::OkStatus(); }
  int unit_size() const override { return 1; }
};

/// Allocations of a decode step of `sequences` sequences, the least over many steps.
std::int64_t AllocationsOfAStep(int sequences) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("deepseek_v3"));
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  base::ComputePool pool(2);
  IdleExperts experts;
  RouterCoreOptions options;
  options.kv_cache_bytes = KvBytesPerToken((*checkpoint)->config(), options.compute_dtype) * 8192;
  options.max_model_len = 256;
  options.micro_batches = 1;
  auto core = RouterCore::Create(
      **checkpoint, std::move(options), pool, experts, [](int, int) {}, base::Clock::Real());
  EXPECT_TRUE(core.ok()) << core.status();
  base::Mutex mutex;
  base::CondVar ended;
  int running = sequences;
  std::vector<std::int64_t> at_step(256);
  std::size_t steps = 0;
  for (int i = 0; i < sequences; ++i) {
    GenerationRequest request = GreedyRequest({5, 6, 7}, 200);
    request.top_logprobs = std::nullopt;
    request.return_routed_experts = false;
    auto submitted = (*core)->scheduler().Submit(std::move(request), [&, i](GenerationEvent event) {
      if (i == 0 && steps < at_step.size()) at_step[steps++] = allocations;
      if (!event.finished) return;
      base::MutexLock lock(mutex);
      --running;
      ended.NotifyAll();
    });
    EXPECT_TRUE(submitted.ok()) << submitted.status();
  }
  {
    base::MutexLock lock(mutex);
    while (running > 0) ended.Wait(mutex);
  }
  std::int64_t least = allocations;
  for (std::size_t i = 100; i + 10 < steps; ++i) {
    least = std::min(least, at_step[i + 1] - at_step[i]);
  }
  return least;
}

// Of a checkpoint with three layers, one dense and two with experts. What is left are vectors and
// closures of the step itself, and two closures a call of experts.
constexpr std::int64_t kMostOfAStep = 18;
/// In a step of many rows, what each op given to the compute threads captures: about 15 ops a
/// layer.
constexpr std::int64_t kMostOfHandedOps = 60;
/// The token in the event that is handed out; the rest for what grows only now and then.
constexpr std::int64_t kMostOfASequence = 2;

TEST(StepAllocations, StayFewHoweverManyRows) {
  EXPECT_LE(AllocationsOfAStep(1), kMostOfAStep);
  EXPECT_LE(AllocationsOfAStep(8), kMostOfAStep + 7 * kMostOfASequence);
  EXPECT_LE(AllocationsOfAStep(16), kMostOfAStep + kMostOfHandedOps + 15 * kMostOfASequence);
}

}  // namespace
}  // namespace moesaic::router
