#pragma once

#include <string>

#include "monitoring/ledger/ledger_row.h"

namespace moesaic::monitoring {

/// A request of tenant t1 or t2 that finished `number` seconds into 2 January 2026.
inline UsageRecord SampleUsage(std::string id, int number) {
  UsageRecord usage;
  usage.id = std::move(id);
  usage.trace_id = "0af7651916cd43dd8448eb211c80319c";
  usage.tenant = number % 2 == 0 ? "t2" : "t1";
  usage.model = "m";
  usage.router = "router-1";
  usage.endpoint = "/completions";
  usage.finished = absl::FromUnixSeconds(1767312000 + number);
  usage.started = usage.finished - absl::Milliseconds(1500);
  usage.outcome = number % 7 == 0 ? RequestOutcome::kCancelled : RequestOutcome::kOk;
  usage.prompt_tokens = 100 + number;
  usage.cached_prompt_tokens = 10;
  usage.generated_tokens = 20;
  usage.queue_seconds = 0.125;
  usage.prefill_seconds = 0.25;
  usage.decode_seconds = 1.0;
  if (number % 3 != 0) usage.first_token_seconds = 0.5;
  usage.prefill = {
      .router_seconds = 0.1, .shard_seconds = 0.2, .cost = 0.0003, .unpriced_seconds = 0};
  usage.decode = {
      .router_seconds = 0.3, .shard_seconds = 0.4, .cost = 0.0007, .unpriced_seconds = 0};
  usage.currency = "USD";
  return usage;
}

/// Ten seconds of a shard, half of them busy, that end so many seconds into the same day.
inline NodeTime SampleNodeTime(std::string id, int number) {
  NodeTime time;
  time.id = std::move(id);
  time.process = "shard-1";
  time.role = "shard";
  time.node = "node-1";
  time.share = {"big", "spot", 0.5};
  time.end = absl::FromUnixSeconds(1767312000 + number);
  time.start = time.end - absl::Seconds(10);
  time.alive_seconds = 10;
  time.busy_seconds = 5;
  time.cost = 0.02;
  time.currency = "USD";
  return time;
}

}  // namespace moesaic::monitoring
