#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "http/server.h"
#include "monitoring/registry.h"
#include "monitoring/usage_sink.h"
#include "placement/view/router_load.h"
#include "router/scheduler/generation.h"
#include "router/trace/trace_store.h"

namespace grpc {
class Service;
}  // namespace grpc
namespace moesaic::model {
class ChatTemplate;
class Tokenizer;
struct GenerationConfig;
}  // namespace moesaic::model

namespace moesaic::router {

/// How the router's front behaves.
struct ApiOptions {
  http::ServerOptions http;
  std::string model_id;  ///< The name clients ask for.
  std::string router_name;
  std::string build_version;
  /// Reported as system_fingerprint: the numerics id.
  std::string numerics_id;
  /// Chat answers are divided into reasoning_content and content.
  bool parse_reasoning = false;
  /// Answers may be computed without some experts: every answer says so in a header, and how many
  /// of its tokens were.
  bool degraded = false;
  bool enable_return_routed_experts = false;
  bool enable_replay_routed_experts = false;  ///< A test hook.
  /// Shape of routed experts beyond the token axis.
  int moe_layers = 0;
  int experts_per_token = 0;
  /// Threads that parse, tokenise, render and detokenise.
  int front_end_threads = 2;
  /// Requests parsed or tokenised but not yet submitted; beyond it 429.
  int max_front_end_queue = 1024;
  absl::Duration default_timeout = absl::Seconds(600);
  absl::Duration max_timeout = absl::Hours(1);  ///< Bounds X-Request-Timeout-Ms.
  int max_choices = 64;                         ///< Prompts times n of one request.
  /// Share of requests without a traceparent whose traces are sampled, 0 to 1.
  double trace_ratio = 0;
  TraceStore::Options traces;
  bool log_prompts = false;  ///< The beginning of each prompt stands in its log line.
};

/// What the front uses and does not own; all of it must outlive the server.
struct ApiParts {
  Generator& generator;
  const model::Tokenizer& tokenizer;
  const model::ChatTemplate* chat_template = nullptr;  ///< Null: no chat, a 400 says so.
  const model::GenerationConfig& generation_config;
  monitoring::Registry& metrics;
  const base::Clock& clock;
  monitoring::UsageSink* usage = nullptr;      ///< Null: nobody keeps what requests used.
  std::function<std::string()> currency = {};  ///< Of costs; empty: nothing has a price.
};

/// The router's front: the OpenAI-compatible HTTP API, and the gRPC service Inference, over one
/// Generator. Owns its HTTP server and its front-end threads. Thread-safe.
class ApiServer {
 public:
  /// Starts serving HTTP. Errors: those of http::Server::Start, InvalidArgument for bad options.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Build(ApiOptions options, ApiParts parts);

  virtual ~ApiServer() = default;
  virtual std::uint16_t port() const = 0;
  /// moesaic.v1.Inference, to be registered with a gRPC server that is shut down before this object
  /// goes.
  virtual grpc::Service& inference_service() = 0;
  /// Fills in what requests were like since the last call: tenants and latencies.
  virtual void TakeLoad(placement::RouterLoad& load) = 0;
  /// Refuses new requests (503 with Retry-After) and is not ready, but goes on listening, so that a
  /// client hears of it instead of meeting a closed port. Does not wait. Idempotent.
  virtual void StartDrain() = 0;
  /// Refuses new requests, lets running ones finish for at most `grace`, then cancels them and
  /// stops. Idempotent.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace moesaic::router
