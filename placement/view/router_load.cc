#include "placement/view/router_load.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace moesaic::placement {
namespace {

/// Above what a router names (router/admission/tenant_table.h), and below what would be a burden.
constexpr int kMaxTenants = 1024;

absl::Status CheckNumbers(const v1::RouterLoad& proto) {
  const double numbers[] = {
      proto.kv_usage(),    proto.busy_seconds(), proto.capacity_tokens_per_s(),
      proto.ttft_p50_ms(), proto.ttft_p95_ms(),  proto.itl_p50_ms(),
      proto.itl_p95_ms()};
  bool valid = true;
  for (const double number : numbers) valid = valid && std::isfinite(number) && number >= 0;
  for (const v1::TenantLoad& tenant : proto.tenants()) {
    valid = valid && std::isfinite(tenant.cost()) && tenant.cost() >= 0;
  }
  if (!valid) return absl::InvalidArgumentError("router load: a negative number, or none at all");
  if (proto.tenants_size() > kMaxTenants) {
    return absl::InvalidArgumentError(
        absl::StrCat("router load: ", proto.tenants_size(), " tenants; at most ", kMaxTenants));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RouterLoad> RouterLoadFromProto(const v1::RouterLoad& proto) {
  if (const absl::Status valid = CheckNumbers(proto); !valid.ok()) return valid;
  RouterLoad load{.generated_tokens = proto.generated_tokens(),
                  .prompt_tokens = proto.prompt_tokens(),
                  .waiting = proto.waiting(),
                  .running = proto.running(),
                  .kv_usage = proto.kv_usage(),
                  .busy_seconds = proto.busy_seconds(),
                  .capacity_tokens_per_s = proto.capacity_tokens_per_s(),
                  .bottleneck = proto.bottleneck(),
                  .hedges = proto.hedges(),
                  .retried_units = proto.retried_units(),
                  .ttft_p50_ms = proto.ttft_p50_ms(),
                  .ttft_p95_ms = proto.ttft_p95_ms(),
                  .itl_p50_ms = proto.itl_p50_ms(),
                  .itl_p95_ms = proto.itl_p95_ms(),
                  .tenants = {}};
  for (const v1::TenantLoad& tenant : proto.tenants()) {
    load.tenants.push_back({.tenant = tenant.tenant(),
                            .requests = tenant.requests(),
                            .prompt_tokens = tenant.prompt_tokens(),
                            .cached_prompt_tokens = tenant.cached_prompt_tokens(),
                            .generated_tokens = tenant.generated_tokens(),
                            .cost = tenant.cost(),
                            .unpriced = tenant.unpriced()});
  }
  return load;
}

v1::RouterLoad RouterLoadToProto(const RouterLoad& load) {
  v1::RouterLoad proto;
  proto.set_generated_tokens(load.generated_tokens);
  proto.set_prompt_tokens(load.prompt_tokens);
  proto.set_waiting(load.waiting);
  proto.set_running(load.running);
  proto.set_kv_usage(load.kv_usage);
  proto.set_busy_seconds(load.busy_seconds);
  proto.set_capacity_tokens_per_s(load.capacity_tokens_per_s);
  proto.set_bottleneck(load.bottleneck);
  proto.set_hedges(load.hedges);
  proto.set_retried_units(load.retried_units);
  proto.set_ttft_p50_ms(load.ttft_p50_ms);
  proto.set_ttft_p95_ms(load.ttft_p95_ms);
  proto.set_itl_p50_ms(load.itl_p50_ms);
  proto.set_itl_p95_ms(load.itl_p95_ms);
  for (const TenantLoad& tenant : load.tenants) {
    v1::TenantLoad& entry = *proto.add_tenants();
    entry.set_tenant(tenant.tenant);
    entry.set_requests(tenant.requests);
    entry.set_prompt_tokens(tenant.prompt_tokens);
    entry.set_cached_prompt_tokens(tenant.cached_prompt_tokens);
    entry.set_generated_tokens(tenant.generated_tokens);
    entry.set_cost(tenant.cost);
    entry.set_unpriced(tenant.unpriced);
  }
  return proto;
}

}  // namespace moesaic::placement
