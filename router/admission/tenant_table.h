#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"

namespace moesaic::router {

/// Tenant of requests that name none, and the name metrics give those beyond the limit.
inline constexpr std::string_view kDefaultTenant = "default";
inline constexpr std::string_view kOtherTenant = "other";

/// Whether the name may stand in metrics, logs and the ledger: 1 to 64 of [A-Za-z0-9._@:-].
bool IsTenantName(std::string_view name);

/// The tenant of a request: the header, which must be a name; else the body's `user`, which may be
/// anything, and counts as "other" when it is no name; else "default".
/// Errors: InvalidArgument naming the header.
absl::StatusOr<std::string> TenantOf(std::string_view header, std::string_view user);

/// Gives the first so many tenants a label of their own in metrics; later ones share "other".
/// Clients choose the names, so there must be an end to them. Thread-safe.
class TenantTable {
 public:
  static constexpr std::size_t kMaxTenants = 200;

  explicit TenantTable(std::size_t max_tenants = kMaxTenants) : max_tenants_(max_tenants) {}
  /// The label: the name itself, or "other". "default" and "other" always have their own.
  std::string_view LabelOf(const std::string& tenant);

 private:
  const std::size_t max_tenants_;
  base::Mutex mutex_;
  absl::flat_hash_set<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
