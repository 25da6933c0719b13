#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace moesaic::monitoring {

/// How a request ended. Names of `moesaic_request_outcomes_total` and of the ledger.
enum class RequestOutcome { kOk, kCancelled, kDeadline, kFailed, kRefused };
constexpr std::string_view RequestOutcomeName(RequestOutcome outcome) {
  switch (outcome) {
    case RequestOutcome::kOk:
      return "ok";
    case RequestOutcome::kCancelled:
      return "cancelled";
    case RequestOutcome::kDeadline:
      return "deadline";
    case RequestOutcome::kFailed:
      return "failed";
    case RequestOutcome::kRefused:
      return "refused";
  }
  return "failed";
}

/// Machine seconds of one kind of work, and what they cost in the currency of the price list.
struct WorkCost {
  double router_seconds = 0;
  double shard_seconds = 0;
  double cost = 0;              ///< Of the seconds that have a price.
  double unpriced_seconds = 0;  ///< Of the above, on nodes whose price is unknown.
};

/// What one finished request used: a row of the ledger, a line of the log. Never prompt text.
struct UsageRecord {
  std::string id;        ///< Unique for ever; writing a record twice leaves one row.
  std::string trace_id;  ///< W3C, 32 hexadecimal digits.
  std::string tenant;    ///< As the client named it; metrics may say "other".
  std::string model;
  std::string router;
  std::string endpoint;
  absl::Time started;
  absl::Time finished;
  RequestOutcome outcome = RequestOutcome::kOk;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  // Time as the client saw it.
  double queue_seconds = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;
  std::optional<double> first_token_seconds;  ///< From arrival; none when no token came.
  // Machine time and cost, idle time excluded.
  WorkCost prefill;
  WorkCost decode;
  std::string currency;  ///< Of both costs; empty without a price list.
};

}  // namespace moesaic::monitoring
