#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/dtype.h"
#include "monitoring/node_share.h"

namespace moesaic::shard {

/// What a shard is and how much it may use.
struct ShardOptions {
  std::string model_dir;  ///< Hugging Face checkpoint directory.
  std::string model_id;   ///< Name of the model; empty = the directory's last component.
  std::string name;       ///< Stable name; a new process of the same name replaces the old one.
  std::string listen_address = "127.0.0.1:0";
  std::string advertised_address;   ///< host:port routers dial; empty = the address bound.
  std::string coordinator_address;  ///< Empty = none: it serves what LoadUnits brings.
  std::uint64_t memory_bytes = 0;   ///< Limit on the bytes of packed expert weights; not 0.
  int threads = 1;                  ///< Compute threads.
  std::uint32_t unit_size = 1;      ///< Experts per unit; the whole cluster agrees.
  base::DType compute_dtype = base::DType::kBF16;  ///< kF32 or kBF16.
  base::DType wire_dtype = base::DType::kBF16;     ///< kF32, kBF16 or kF8E4M3.
  std::optional<base::DType> weight_dtype;         ///< kI8, or nothing: as stored.
  std::string node;  ///< Machine; replicas of a unit go to different nodes where possible.
  std::string zone;  ///< Failure zone of the machine.
  monitoring::NodeShare node_share;
  std::string http_address;  ///< host:port to serve /metrics on; empty = not served.
  std::string state_dir;     ///< Folder of the remembered assignment; empty = remember nothing.
  /// Folder of packed units, for a faster start (PackedCache); empty = none.
  std::string packed_cache_dir;
  std::uint64_t packed_cache_bytes =
      0;              ///< Most the folder may take; 0 = all of the model's units.
  std::string build;  ///< Build of the process, for people.
  /// Time for measuring what its work costs before it serves; zero = it learns while serving.
  absl::Duration calibration = absl::Milliseconds(100);
  std::uint32_t max_batch_rows = 4096;  ///< Most assignments one batch computes.
  /// Undone request bytes one router may have queued: 64 dispatches of the largest size.
  std::uint64_t queue_bytes_per_router = std::uint64_t{64} << 20;
  bool insecure = false;    ///< Allow listening beyond loopback without TLS.
  bool reflection = false;  ///< gRPC server reflection, for people with grpcurl.
};

/// One expert-shard process: opens the checkpoint, serves ExpertShard and health, registers with
/// the coordinator, loads what it is told. Owns all its threads. Thread-safe.
class Shard {
 public:
  /// Opens the checkpoint (no weights are read), binds the address, starts to serve and, when
  /// there is a coordinator, to register; loads the remembered assignment in the background.
  /// Errors: InvalidArgument for an option out of range or a model this build cannot run; what
  /// opening the checkpoint reports; Unavailable when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Shard>> Build(
      ShardOptions options, const base::Clock& clock = base::Clock::Real());
  ~Shard();

  /// host:port bound (the port is known even if 0 was asked for).
  const std::string& address() const;
  /// The same of the HTTP server; empty when there is none.
  const std::string& http_address() const;
  /// Assignments (row, expert) computed since the process started.
  std::uint64_t expert_rows_total() const;
  /// Drains (health NOT_SERVING, no new dispatches), waits up to `deadline` for those in flight,
  /// then stops serving and registering. Idempotent.
  void Shutdown(absl::Duration deadline);

 private:
  class Impl;
  explicit Shard(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::shard
