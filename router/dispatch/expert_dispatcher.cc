#include "router/dispatch/expert_dispatcher.h"

#include <utility>

#include "base/status_macros.h"
#include "router/dispatch/dispatch_core.h"

namespace moesaic::router {

ExpertDispatcher::ExpertDispatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExpertDispatcher::~ExpertDispatcher() = default;

absl::StatusOr<std::unique_ptr<ExpertDispatcher>> ExpertDispatcher::Create(Options options) {
  if (options.hello.model.hidden_size == 0 || options.hello.model.unit_size == 0) {
    return absl::InvalidArgumentError("dispatcher: hidden size and unit size must not be 0");
  }
  MOESAIC_RETURN_IF_ERROR(rpc::MakeChannelCredentials(options.credentials).status());
  return std::unique_ptr<ExpertDispatcher>(
      new ExpertDispatcher(std::make_unique<Impl>(std::move(options))));
}

void ExpertDispatcher::SetPlacement(std::shared_ptr<const placement::PlacementMap> placement) {
  impl_->SetPlacement(std::move(placement));
}

void ExpertDispatcher::Compute(const ExpertCall& call,
                               absl::AnyInvocable<void(ExpertOutcome)> done) {
  impl_->Compute(call, std::move(done));
}

absl::Status ExpertDispatcher::Ready() const { return impl_->Ready(); }
int ExpertDispatcher::unit_size() const { return impl_->unit_size(); }
DispatchStats ExpertDispatcher::Stats() const { return impl_->Stats(); }
placement::LoadReport ExpertDispatcher::TakeLoad() { return impl_->TakeLoad(); }

}  // namespace moesaic::router
