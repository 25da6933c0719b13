#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/compute_pool.h"
#include "base/mutex.h"
#include "placement/view/topology.h"
#include "shard/expert_packing.h"

namespace moesaic::shard {

/// Packed units in a folder, a file each, so that a shard that starts again reads them as they were
/// instead of packing them. Several shards may share a folder. A file says in full what it holds
/// (format, kernel contract, model, unit, shapes and storages) and has a checksum for every MiB;
/// one that says anything else, or is damaged, is not used and is written again. Owns a thread that
/// writes. Thread-safe.
class PackedCache {
 public:
  struct Options {
    std::string directory;
    /// Everything beside layer, unit and shapes that the packed bytes depend on; one line a fact.
    std::string identity;
    /// Bytes of all files in the folder. To stay below, files of other identities are removed, the
    /// longest unused first; those of this one are not, and further units are then not kept.
    std::uint64_t max_bytes = 0;
  };

  /// Makes the folder and removes what interrupted writes left there an hour ago or longer.
  /// Errors: those of base::MakeDirectory.
  static absl::StatusOr<std::unique_ptr<PackedCache>> Open(Options options);
  /// Waits for the file being written; units that wait to be are forgotten.
  ~PackedCache();

  /// The experts of a unit, whose shapes must be `shapes`; the reading is shared out on `pool`.
  /// Errors: NotFound; DataLoss naming the file and what is wrong with it; ResourceExhausted.
  absl::StatusOr<std::vector<PackedExpert>> Load(const placement::UnitKey& key,
                                                 absl::Span<const PackedExpertShape> shapes,
                                                 base::ComputePool& pool) const;
  /// Writes a unit by and by, if `experts` is still in use when its turn comes. A write that fails
  /// (a full disk) is logged and ends the writing of this process.
  void Save(const placement::UnitKey& key, std::weak_ptr<const std::vector<PackedExpert>> experts);
  /// Returns when everything saved so far was written or given up.
  void Flush();

 private:
  using Waiting = std::pair<placement::UnitKey, std::weak_ptr<const std::vector<PackedExpert>>>;

  explicit PackedCache(Options options);
  std::string PathOf(const placement::UnitKey& key) const;
  void WriteAll();
  absl::Status Write(const placement::UnitKey& key, const std::vector<PackedExpert>& experts);
  /// Whether `bytes` more fit, after removing other identities' files.
  bool MakeRoom(std::uint64_t bytes);

  const Options options_;
  const std::string prefix_;        // of the names of this identity's files
  std::uint64_t folder_bytes_ = 0;  // as last counted, and what was written since; of the thread
  bool counted_ = false;            // of the thread

  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool gave_up_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread writer_;  // last: uses all of the above
};

}  // namespace moesaic::shard
