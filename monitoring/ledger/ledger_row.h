#pragma once

#include <optional>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "monitoring/node_share.h"
#include "monitoring/usage_record.h"

namespace moesaic::monitoring {

/// What one process had of one stretch of time: how long it ran, how much of that it computed, and
/// what that cost. What requests cost and what lay idle add up to these. Plain value.
struct NodeTime {
  std::string id;       ///< Unique for ever; writing one twice leaves one row.
  std::string process;  ///< Name of the process.
  std::string role;     ///< router, shard or coordinator.
  std::string node;     ///< Machine it runs on.
  NodeShare share;
  absl::Time start;
  absl::Time end;
  double alive_seconds = 0;
  double busy_seconds = 0;
  std::optional<double> cost;  ///< Of the time alive; none when the price is unknown.
  std::string currency;        ///< Of the cost; empty without a price list.
};

using LedgerRow = std::variant<UsageRecord, NodeTime>;

/// One row as a line of JSON: what the queue file holds. Text is made valid UTF-8 without control
/// characters, numbers that are not finite become 0: what one database refused would block it.
std::string EncodeRow(const LedgerRow& row);
/// Inverse of EncodeRow. Nothing when `text` is not a row; fields it lacks keep their defaults.
std::optional<LedgerRow> DecodeRow(std::string_view text);

}  // namespace moesaic::monitoring
