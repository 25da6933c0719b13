#include "rpc/health_service.h"

#include "absl/strings/str_cat.h"
#include "rpc/status_map.h"

namespace moesaic::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

/// How often a Watch looks whether its caller is still there.
constexpr absl::Duration kLookAgain = absl::Milliseconds(500);

}  // namespace

void HealthService::Set(const std::string& service, bool serving) {
  base::MutexLock lock(mutex_);
  serving_[service] = serving;
  changed_.NotifyAll();
}

void HealthService::Stop() {
  base::MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

HealthService::State HealthService::StateOf(const std::string& service) const {
  const auto found = serving_.find(service);
  if (found == serving_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return found->second ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

grpc::Status HealthService::Check(grpc::ServerContext*, const HealthCheckRequest* request,
                                  HealthCheckResponse* response) {
  base::MutexLock lock(mutex_);
  response->set_status(StateOf(request->service()));
  if (response->status() != HealthCheckResponse::SERVICE_UNKNOWN) return grpc::Status::OK;
  return ToGrpcStatus(absl::NotFoundError("no such service"));
}

grpc::Status HealthService::Watch(grpc::ServerContext* context, const HealthCheckRequest* request,
                                  grpc::ServerWriter<HealthCheckResponse>* writer) {
  State state;
  {
    base::MutexLock lock(mutex_);
    if (watches_ == kMaxWatches) {
      return ToGrpcStatus(
          absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxWatches, " watches")));
    }
    ++watches_;
    state = StateOf(request->service());
  }
  State told;
  do {
    HealthCheckResponse response;
    response.set_status(state);
    if (!writer->Write(response)) break;
    told = state;
    state = AwaitOther(request->service(), told, *context);
  } while (state != told);
  base::MutexLock lock(mutex_);
  --watches_;
  return ToGrpcStatus(absl::UnavailableError("the watch has ended"));
}

HealthService::State HealthService::AwaitOther(const std::string& service, State known,
                                               grpc::ServerContext& context) {
  base::MutexLock lock(mutex_);
  while (!stopping_ && !context.IsCancelled() && StateOf(service) == known) {
    changed_.WaitFor(mutex_, kLookAgain);
  }
  return stopping_ ? known : StateOf(service);
}

}  // namespace moesaic::rpc
