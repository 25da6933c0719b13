#pragma once

#include "monitoring/registry.h"

namespace moesaic::router {

/// The series a generation call records, looked up once. Thread-safe.
struct CallMetrics {
  explicit CallMetrics(monitoring::Registry& registry)
      : in_flight(registry.Get(monitoring::metrics::kRequestsInFlight)),
        prompt_tokens(registry.Get(monitoring::metrics::kPromptTokensTotal, {"default"})),
        cached_prompt_tokens(
            registry.Get(monitoring::metrics::kCachedPromptTokensTotal, {"default"})),
        generated_tokens(registry.Get(monitoring::metrics::kGeneratedTokensTotal, {"default"})),
        time_to_first_token(registry.Get(monitoring::metrics::kTimeToFirstTokenSeconds)),
        inter_token_latency(registry.Get(monitoring::metrics::kInterTokenLatencySeconds)),
        request_duration(registry.Get(monitoring::metrics::kRequestDurationSeconds)),
        queue_seconds(registry.Get(monitoring::metrics::kRequestPhaseSeconds, {"queue"})),
        prefill_seconds(registry.Get(monitoring::metrics::kRequestPhaseSeconds, {"prefill"})),
        decode_seconds(registry.Get(monitoring::metrics::kRequestPhaseSeconds, {"decode"})) {}

  monitoring::Gauge in_flight;
  monitoring::Counter prompt_tokens;
  monitoring::Counter cached_prompt_tokens;
  monitoring::Counter generated_tokens;
  monitoring::Histogram time_to_first_token;
  monitoring::Histogram inter_token_latency;
  monitoring::Histogram request_duration;
  monitoring::Histogram queue_seconds;
  monitoring::Histogram prefill_seconds;
  monitoring::Histogram decode_seconds;
};

}  // namespace moesaic::router
