#include "http/exchange_state.h"

#include <utility>

#include "absl/status/status.h"
#include "http/error_map.h"

namespace moesaic::http {
namespace {

class ExchangeHandle final : public Exchange {
 public:
  explicit ExchangeHandle(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~ExchangeHandle() override { state_->Abandon(); }

  const Request& request() const override { return state_->request(); }
  void Respond(Response response) override { state_->Respond(std::move(response)); }
  void StartStream(std::vector<Header> headers) override {
    state_->StartStream(std::move(headers));
  }
  bool Write(std::string bytes) override { return state_->Write(std::move(bytes)); }
  void FinishStream() override { state_->FinishStream(); }
  void OnDisconnect(absl::AnyInvocable<void()> gone) override {
    state_->OnDisconnect(std::move(gone));
  }

 private:
  const std::shared_ptr<ExchangeState> state_;
};

}  // namespace

ExchangeState::ExchangeState(Request request, std::shared_ptr<ExchangeOutput> output,
                             std::size_t max_stream_buffer_bytes)
    : request_(std::move(request)),
      max_stream_buffer_bytes_(max_stream_buffer_bytes),
      output_(std::move(output)) {}

void ExchangeState::Respond(Response response) {
  base::MutexLock lock(mutex_);
  if (stage_ != Stage::kUnanswered) return;
  stage_ = Stage::kAnswered;
  if (output_) output_->SendResponse(std::move(response));
}

void ExchangeState::StartStream(std::vector<Header> headers) {
  base::MutexLock lock(mutex_);
  if (stage_ != Stage::kUnanswered) return;
  stage_ = Stage::kStreaming;
  if (output_) output_->SendStreamHead(std::move(headers));
}

bool ExchangeState::Write(std::string bytes) {
  base::MutexLock lock(mutex_);
  if (stage_ != Stage::kStreaming || !output_) return false;
  if (unsent_bytes_ + bytes.size() > max_stream_buffer_bytes_) {
    output_->Drop();
    return false;
  }
  unsent_bytes_ += bytes.size();
  output_->SendStreamBytes(std::move(bytes));
  return true;
}

void ExchangeState::FinishStream() {
  base::MutexLock lock(mutex_);
  if (stage_ != Stage::kStreaming) return;
  stage_ = Stage::kAnswered;
  if (output_) output_->SendStreamEnd();
}

void ExchangeState::OnDisconnect(absl::AnyInvocable<void()> gone) {
  {
    base::MutexLock lock(mutex_);
    if (!disconnected_) {
      if (output_) on_disconnect_ = std::move(gone);
      return;
    }
  }
  gone();
}

void ExchangeState::Abandon() {
  base::MutexLock lock(mutex_);
  if (!output_) return;
  if (stage_ == Stage::kUnanswered) {
    output_->SendResponse(ErrorResponse(absl::InternalError("the request was dropped unanswered")));
  } else if (stage_ == Stage::kStreaming) {
    output_->Drop();
  }
  stage_ = Stage::kAnswered;
}

void ExchangeState::OnWritten(std::size_t bytes) {
  base::MutexLock lock(mutex_);
  unsent_bytes_ -= bytes;
}

void ExchangeState::Close(bool complete) {
  absl::AnyInvocable<void()> gone;
  std::shared_ptr<ExchangeOutput> output;  // released outside the lock
  {
    base::MutexLock lock(mutex_);
    disconnected_ = !complete;
    gone = std::exchange(on_disconnect_, nullptr);
    output = std::move(output_);
    output_ = nullptr;
  }
  if (!complete && gone) gone();
}

std::shared_ptr<Exchange> MakeExchange(std::shared_ptr<ExchangeState> state) {
  return std::make_shared<ExchangeHandle>(std::move(state));
}

}  // namespace moesaic::http
