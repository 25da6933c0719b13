#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// What clients of a router see.
inline constexpr CounterDef kRequestsTotal{
    {"moesaic_requests_total",
     "Finished HTTP and gRPC requests by endpoint and status code.",
     {"endpoint", "code"}}};
inline constexpr CounterDef kRejectionsTotal{
    {"moesaic_rejections_total",
     "Requests refused before they were computed, by reason (queue_full, draining, too_long, "
     "invalid, overloaded).",
     {"reason"}}};
inline constexpr GaugeDef kRequestsInFlight{
    {"moesaic_requests_in_flight", "Generation requests accepted and not yet finished."}};
inline constexpr CounterDef kUnknownRequestFieldsTotal{
    {"moesaic_unknown_request_fields_total",
     "Fields of request bodies that were ignored because the API does not know them."}};
inline constexpr CounterDef kPromptTokensTotal{
    {"moesaic_prompt_tokens_total", "Prompt tokens of finished requests.", {"tenant"}}};
inline constexpr CounterDef kCachedPromptTokensTotal{
    {"moesaic_cached_prompt_tokens_total",
     "Prompt tokens of finished requests whose KV came from the prefix cache.",
     {"tenant"}}};
inline constexpr CounterDef kGeneratedTokensTotal{
    {"moesaic_generated_tokens_total", "Tokens generated and delivered.", {"tenant"}}};
inline constexpr HistogramDef kTimeToFirstTokenSeconds{
    {"moesaic_time_to_first_token_seconds", "From the arrival of a request to its first token."},
    kRequestBounds,
    16};
inline constexpr HistogramDef kInterTokenLatencySeconds{
    {"moesaic_inter_token_latency_seconds", "Between two tokens of one choice."}, kTokenBounds, 14};
inline constexpr HistogramDef kRequestDurationSeconds{
    {"moesaic_request_duration_seconds", "From the arrival of a generation request to its end."},
    kRequestBounds,
    16};
inline constexpr HistogramDef kRequestPhaseSeconds{
    {"moesaic_request_phase_seconds",
     "Seconds a generation spent in a phase (queue, prefill, decode), also when it failed.",
     {"phase"}},
    kRequestBounds,
    16};
inline constexpr CounterDef kRequestOutcomesTotal{
    {"moesaic_request_outcomes_total",
     "Finished generation requests by outcome (ok, cancelled, deadline, failed, refused).",
     {"outcome"}}};

}  // namespace moesaic::monitoring::metrics
