#include "shard/registration_client.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "rpc/status_map.h"

namespace moesaic::shard {

RegistrationClient::RegistrationClient(Options options,
                                       std::shared_ptr<grpc::ChannelInterface> channel,
                                       MakeReport make_report, OnDirective on_directive)
    : options_(std::move(options)),
      channel_(std::move(channel)),
      make_report_(std::move(make_report)),
      on_directive_(std::move(on_directive)),
      heartbeat_(options_.heartbeat),
      thread_([this] { Run(); }) {}

RegistrationClient::~RegistrationClient() { Stop(); }

void RegistrationClient::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();  // does not block
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void RegistrationClient::ReportChange() {
  {
    base::MutexLock lock(mutex_);
    changed_ = true;
  }
  wake_.NotifyAll();
}

bool RegistrationClient::registered() const {
  base::MutexLock lock(mutex_);
  return registered_;
}

void RegistrationClient::Run() {
  absl::Duration backoff = options_.initial_backoff;
  absl::Status last = absl::OkStatus();
  do {
    const absl::Duration begun = base::Clock::Real().Monotonic();
    const absl::Status ended = RunSession();
    if (ended != last) base::LogWarning("not registered with the coordinator: ", ended.ToString());
    last = ended;
    // A session that lasted was a good one; one refused at once is not to be asked again soon.
    const bool lasted = base::Clock::Real().Monotonic() - begun > options_.max_backoff;
    if (lasted) backoff = options_.initial_backoff;
    if (!Pause(backoff)) return;
    backoff = std::min(backoff * 2, options_.max_backoff);
  } while (true);
}

absl::Status RegistrationClient::RunSession() {
  grpc::ClientContext context;
  if (!BeginSession(context)) return absl::CancelledError("stopping");
  const auto stub = v1::Coordinator::NewStub(channel_);
  const std::unique_ptr<Stream> stream = stub->Register(&context);
  absl::Status refused = absl::OkStatus();
  std::thread reader([&] {
    refused = ReceiveDirectives(*stream);
    // Only when it is we who end it: a cancelled call loses the status that the other side gave.
    if (!refused.ok()) context.TryCancel();
    {
      base::MutexLock lock(mutex_);
      broken_ = true;
    }
    wake_.NotifyAll();
  });
  SendReports(*stream);
  reader.join();
  const absl::Status ended = rpc::FromGrpcStatus(stream->Finish());
  EndSession();
  return refused.ok() ? ended : refused;
}

void RegistrationClient::SendReports(Stream& stream) {
  v1::ShardReport first = make_report_(/*with_units=*/true);
  *first.mutable_registration() = options_.registration;
  bool open = stream.Write(first);
  while (open) {
    const std::optional<bool> with_units = AwaitReport();
    if (!with_units) return;
    open = stream.Write(make_report_(*with_units));
  }
  // The refusal, if it was one, is in the status: let the reader see the end of the stream.
  base::MutexLock lock(mutex_);
  while (!broken_ && !stopping_) wake_.Wait(mutex_);
}

absl::Status RegistrationClient::ReceiveDirectives(Stream& stream) {
  v1::ShardDirective directive;
  while (stream.Read(&directive)) {
    if (const absl::Status taken = on_directive_(directive); !taken.ok()) return taken;
    base::MutexLock lock(mutex_);
    registered_ = true;
    if (directive.heartbeat_ms() > 0) heartbeat_ = absl::Milliseconds(directive.heartbeat_ms());
  }
  return absl::OkStatus();
}

bool RegistrationClient::BeginSession(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  if (stopping_) return false;
  context_ = &context;
  broken_ = false;
  changed_ = false;  // the registration reports everything
  return true;
}

void RegistrationClient::EndSession() {
  base::MutexLock lock(mutex_);
  context_ = nullptr;
  registered_ = false;
}

std::optional<bool> RegistrationClient::AwaitReport() {
  const base::Clock& clock = base::Clock::Real();
  base::MutexLock lock(mutex_);
  const absl::Duration due = clock.Monotonic() + heartbeat_;
  while (!stopping_ && !broken_ && !changed_) {
    const absl::Duration left = due - clock.Monotonic();
    if (left <= absl::ZeroDuration()) break;
    wake_.WaitFor(mutex_, left);
  }
  if (stopping_ || broken_) return std::nullopt;
  return std::exchange(changed_, false);
}

bool RegistrationClient::Pause(absl::Duration delay) {
  const base::Clock& clock = base::Clock::Real();
  const absl::Duration until = clock.Monotonic() + delay;
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration left = until - clock.Monotonic();
    if (left <= absl::ZeroDuration()) return true;
    wake_.WaitFor(mutex_, left);
  }
  return false;
}

}  // namespace moesaic::shard
