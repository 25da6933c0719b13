#include "tests/unit/router/api/fake_generator.h"

#include <string>
#include <utility>

#include "tests/unit/router/api/byte_tokenizer.h"

namespace moesaic::router {

void FakeGenerator::SetScript(Script script) {
  base::MutexLock lock(mutex_);
  script_ = std::move(script);
}

void FakeGenerator::AnswerWith(std::string_view text) {
  SetScript([text = std::string(text)](const GenerationRequest& request, Sink& sink) {
    for (char byte : text) {
      GenerationEvent event = Tokens(std::string_view(&byte, 1));
      if (request.top_logprobs) event.logprobs = {{event.token_ids[0], -0.5f, {}}};
      sink(std::move(event));
    }
    GenerationEvent last = Finished();
    last.token_ids = {kEndToken};
    last.last_is_stop_token = true;
    if (request.top_logprobs) last.logprobs = {{kEndToken, -0.25f, {}}};
    sink(std::move(last));
    return absl::OkStatus();
  });
}

void FakeGenerator::SetReady(absl::Status ready) {
  base::MutexLock lock(mutex_);
  ready_ = std::move(ready);
}

void FakeGenerator::SetMaxModelLen(int tokens) {
  base::MutexLock lock(mutex_);
  max_model_len_ = tokens;
}

absl::StatusOr<std::uint64_t> FakeGenerator::Submit(GenerationRequest request, Sink sink) {
  Script script;
  {
    base::MutexLock lock(mutex_);
    script = script_;
  }
  if (script) {
    if (absl::Status status = script(request, sink); !status.ok()) return status;
  }
  base::MutexLock lock(mutex_);
  entries_.push_back(std::make_unique<Entry>(Entry{std::move(request), std::move(sink)}));
  changed_.NotifyAll();
  return entries_.size() - 1;
}

void FakeGenerator::Cancel(std::uint64_t handle) {
  base::MutexLock lock(mutex_);
  cancelled_.push_back(handle);
  changed_.NotifyAll();
}

GenerationLimits FakeGenerator::limits() const {
  base::MutexLock lock(mutex_);
  return {max_model_len_, 1 << 20, kEndToken + 1};
}

absl::Status FakeGenerator::Ready() const {
  base::MutexLock lock(mutex_);
  return ready_;
}

bool FakeGenerator::AwaitSubmitted(std::size_t count) {
  base::MutexLock lock(mutex_);
  for (int i = 0; i < 1000 && entries_.size() < count; ++i) {
    changed_.WaitFor(mutex_, absl::Milliseconds(10));
  }
  return entries_.size() >= count;
}

bool FakeGenerator::AwaitCancelled(std::size_t count) {
  base::MutexLock lock(mutex_);
  for (int i = 0; i < 1000 && cancelled_.size() < count; ++i) {
    changed_.WaitFor(mutex_, absl::Milliseconds(10));
  }
  return cancelled_.size() >= count;
}

GenerationRequest FakeGenerator::request(std::size_t handle) {
  base::MutexLock lock(mutex_);
  return entries_.at(handle)->request;
}

std::vector<std::uint64_t> FakeGenerator::cancelled() {
  base::MutexLock lock(mutex_);
  return cancelled_;
}

void FakeGenerator::Emit(std::size_t handle, GenerationEvent event) {
  Entry* entry = nullptr;
  {
    base::MutexLock lock(mutex_);
    entry = entries_.at(handle).get();
  }
  entry->sink(std::move(event));
}

GenerationEvent Tokens(std::string_view text) {
  GenerationEvent event;
  event.token_ids = ByteIds(text);
  return event;
}

GenerationEvent Finished(FinishReason reason) {
  GenerationEvent event;
  event.finished = true;
  event.finish_reason = reason;
  return event;
}

GenerationEvent Failed(absl::Status status) {
  GenerationEvent event;
  event.finished = true;
  event.status = std::move(status);
  return event;
}

}  // namespace moesaic::router
