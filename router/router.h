#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/dtype.h"
#include "monitoring/ledger/ledger.h"
#include "monitoring/node_share.h"
#include "router/api/reasoning_mode.h"
#include "router/trace/trace_store.h"

namespace moesaic::router {

/// What a router serves, where, and how much it may use.
struct RouterOptions {
  std::string model_dir;  ///< Hugging Face checkpoint directory.
  std::string model_id;   ///< Name clients ask for; not empty.
  std::string name = "router-1";
  std::string build;
  std::string node;  ///< Machine it runs on.
  std::string zone;  ///< Failure zone of that machine.
  monitoring::NodeShare node_share;
  base::DType compute_dtype = base::DType::kBF16;  ///< kF32 or kBF16.
  base::DType wire_dtype = base::DType::kBF16;     ///< kF32, kBF16 or kF8E4M3.
  std::optional<base::DType> weight_dtype;         ///< kI8, or nothing: as stored.
  std::uint32_t unit_size = 1;                     ///< Experts per unit; the whole cluster agrees.
  int threads = 1;                                 ///< Compute threads.

  std::string coordinator_address;             ///< host:port
  std::string listen_address = "127.0.0.1:0";  ///< gRPC Inference.
  std::string http_address = "127.0.0.1:8000";
  /// host:port by which the coordinator's console and others reach http_address; empty = that.
  std::string advertised_address;
  bool insecure = false;    ///< Allow listening beyond loopback without TLS.
  bool reflection = false;  ///< gRPC server reflection.
  std::string state_dir;    ///< Folder of the remembered placement; empty = remember nothing.
  std::string price_list;   ///< File of node prices; empty = every price is unknown.
  monitoring::Ledger::Options ledger;  ///< Without an address nobody keeps what requests used.

  /// Memory of the KV cache; 0 = half of what is left after the weights are loaded.
  std::uint64_t kv_cache_bytes = 0;
  int kv_block_tokens = 16;
  int max_model_len = 0;  ///< Prompt and answer of one request; 0 = the checkpoint's limit.
  int max_num_seqs = 64;
  int max_step_tokens = 512;
  int max_queue = 256;
  std::optional<int> micro_batches;  ///< 1 or 2; nullopt = what is predicted to be faster.
  /// So many rows of prompts join a step with generations that it is predicted to take no more than
  /// this, or twice what the generations take alone.
  absl::Duration max_step_time = absl::Milliseconds(180);

  std::uint64_t max_body_bytes = std::uint64_t{16} << 20;
  std::uint64_t max_bodies_bytes = std::uint64_t{1} << 30;
  int max_connections = 16384;
  absl::Duration request_timeout = absl::Seconds(600);
  int front_end_threads = 2;
  /// Degraded mode: rows go on without experts that have been without a live shard for so long, and
  /// answers say so. Infinite = off, rows wait until the request's time is over.
  absl::Duration degraded_after = absl::InfiniteDuration();
  ReasoningMode reasoning = ReasoningMode::kAuto;
  /// Share of requests without a traceparent whose traces are sampled: shards are told of them.
  double trace_ratio = 0;
  std::uint64_t trace_memory_bytes = TraceStore::Options().max_bytes;  ///< 0 = no timelines.
  bool log_prompts = false;  ///< The beginning of each prompt stands in its log line.
  bool enable_return_routed_experts = false;
  bool enable_replay_routed_experts = false;
};

/// One router process: loads the dense weights, follows the coordinator's placement, and serves
/// the OpenAI API and gRPC Inference. Owns all its threads. Thread-safe.
class Router {
 public:
  /// Errors: InvalidArgument for an option out of range or a model this build cannot run; what
  /// opening the checkpoint reports; ResourceExhausted when weights or KV cache do not fit in
  /// memory; Unavailable when an address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Router>> Build(
      RouterOptions options, const base::Clock& clock = base::Clock::Real());
  ~Router();

  /// host:port of the HTTP API and of gRPC Inference.
  const std::string& http_address() const;
  const std::string& grpc_address() const;
  /// Refuses new requests, finishes those in progress within `grace`, stops. Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit Router(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::router
