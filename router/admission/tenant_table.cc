#include "router/admission/tenant_table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

constexpr std::size_t kMaxNameBytes = 64;

bool MayStandInAName(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '@' || c == ':' || c == '-';
}

}  // namespace

bool IsTenantName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), MayStandInAName);
}

absl::StatusOr<std::string> TenantOf(std::string_view header, std::string_view user) {
  if (!header.empty()) {
    if (IsTenantName(header)) return std::string(header);
    return http::WithParam(
        absl::InvalidArgumentError(
            "X-Moesaic-Tenant must be 1 to 64 letters, digits, '.', '_', '@', ':' or '-'"),
        "X-Moesaic-Tenant");
  }
  if (user.empty()) return std::string(kDefaultTenant);
  return std::string(IsTenantName(user) ? user : kOtherTenant);
}

std::string_view TenantTable::LabelOf(const std::string& tenant) {
  if (tenant == kDefaultTenant) return kDefaultTenant;
  base::MutexLock lock(mutex_);
  const auto found = names_.find(tenant);
  if (found != names_.end()) return tenant;
  if (tenant == kOtherTenant || names_.size() >= max_tenants_) return kOtherTenant;
  names_.insert(tenant);
  return tenant;
}

}  // namespace moesaic::router
