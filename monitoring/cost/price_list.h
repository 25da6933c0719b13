#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "monitoring/node_share.h"

namespace moesaic::monitoring {

inline constexpr std::string_view kOnDemand = "on_demand";
inline constexpr std::string_view kSpot = "spot";

/// What a node costs; a price that nobody wrote down is unknown, never 0. Plain value.
struct NodePrice {
  std::optional<double> on_demand_per_hour;
  std::optional<double> spot_per_hour;
  int gpus = 0;  ///< In the node.
};

/// Prices of node types, of one currency and region. Immutable.
class PriceList {
 public:
  /// Parses the JSON of docs/cost.md. Errors: InvalidArgument naming the key that is unknown,
  /// missing, there twice, of the wrong type, negative or not finite, or one too many.
  static absl::StatusOr<PriceList> Parse(std::string_view json);

  /// Price of a node per hour. `capacity_type`: on_demand (also when empty) or spot. Empty when the
  /// type is not listed, or not with this capacity type.
  std::optional<double> Lookup(std::string_view node_type, std::string_view capacity_type) const;
  /// Price per second of a process that carries this share of its node's price.
  std::optional<double> PerSecond(const NodeShare& node) const;
  /// nullptr when the type is not listed.
  const NodePrice* FindType(std::string_view node_type) const;

  const std::string& currency() const { return currency_; }  ///< ISO 4217, "USD".
  const std::string& region() const { return region_; }      ///< Empty when not said.
  /// Price of a kilowatt-hour, where the price of nodes does not include it.
  std::optional<double> energy_per_kwh() const { return energy_per_kwh_; }

 private:
  struct Reader;

  std::string currency_;
  std::string region_;
  std::optional<double> energy_per_kwh_;
  std::unordered_map<std::string, NodePrice> nodes_;
};

/// A price list on disk, read again when the file changes. Thread-safe.
class PriceListFile {
 public:
  /// Errors: those of reading and of PriceList::Parse, naming the path.
  static absl::StatusOr<std::unique_ptr<PriceListFile>> Open(
      std::string path, const base::Clock& clock = base::Clock::Real());

  /// The newest list that could be read; never null. Looks at the file about once a second; one
  /// that cannot be read is logged once, and the old prices stay.
  std::shared_ptr<const PriceList> Get();

 private:
  /// What tells that a file has changed, also one that was replaced by renaming.
  struct Stamp {
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  PriceListFile(std::string path, const base::Clock& clock)
      : path_(std::move(path)), clock_(clock) {}
  static Stamp StampOf(const std::string& path);
  void Reload();

  const std::string path_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  Stamp stamp_ ABSL_GUARDED_BY(mutex_);
  absl::Duration looked_at_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const PriceList> list_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::monitoring
