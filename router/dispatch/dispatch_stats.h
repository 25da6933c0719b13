#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"

namespace moesaic::router {

/// What the dispatcher knows of one shard and has counted since it first named it.
struct ShardDispatchStats {
  base::ShardId id;
  std::string name;
  std::string address;
  bool decode_connected = false;
  bool prefill_connected = false;
  absl::Status last_error;           ///< Why a stream is down; OK when both are up.
  std::uint64_t dispatches = 0;      ///< Messages sent.
  std::uint64_t rows = 0;            ///< Rows sent.
  std::uint64_t in_flight_rows = 0;  ///< Result rows awaited now.
  bool suspect = false;              ///< Silent or cut off, and not yet taken back.
  std::uint64_t bytes_sent = 0;      ///< Tensor bytes.
  std::uint64_t bytes_received = 0;  ///< Tensor bytes.
  // Sums over answered dispatches; divide by `answered` for means.
  std::uint64_t answered = 0;
  absl::Duration round_trip_sum;
  absl::Duration queue_wait_sum;  ///< As the shard reports it.
  absl::Duration compute_sum;     ///< As the shard reports it.
};

/// Counters of a router's dispatching since it started; only ever growing but for in_flight_rows.
struct DispatchStats {
  std::uint64_t calls = 0;            ///< ExpertCalls begun.
  std::uint64_t dispatches = 0;       ///< Messages sent to shards, resends included.
  std::uint64_t rows = 0;             ///< Rows in those messages.
  std::uint64_t bytes_sent = 0;       ///< Tensor bytes in those messages.
  std::uint64_t bytes_received = 0;   ///< Tensor bytes of replies.
  std::uint64_t retried_units = 0;    ///< (row, unit) pairs sent again, for whatever reason.
  std::uint64_t missing_units = 0;    ///< (row, unit) pairs a shard said it does not hold.
  std::uint64_t broken_streams = 0;   ///< Connected streams that ended.
  std::uint64_t suspicions = 0;       ///< Times a shard became suspect by its silence.
  std::uint64_t hedges = 0;           ///< Dispatches sent beside one that was late.
  std::uint64_t hedge_wins = 0;       ///< Result rows that a hedge brought first.
  std::uint64_t abandoned = 0;        ///< Dispatches given up after the hard time limit.
  std::uint64_t budget_refusals = 0;  ///< Hedges and retries that the budget did not allow.
  std::uint64_t throttled_units = 0;  ///< (row, unit) pairs kept back by a shard's flow limit.
  std::uint64_t late_rows = 0;        ///< Result rows that came when nobody waited any more.
  double wasted_seconds = 0;          ///< Shards computed for those, as they say.
  std::uint64_t invalid_replies = 0;  ///< Replies that named rows or units not asked for.
  std::uint64_t failed_rows = 0;      ///< Tokens given back as failures.
  std::uint64_t skipped_units = 0;    ///< (row, unit) pairs left out for want of a replica.
  double budget_left = 0;             ///< Hedges and retries that the budget allows at once now.
  /// Broken streams by their status ("unavailable") and answers that were not OK by their code
  /// ("overloaded").
  std::map<std::string, std::uint64_t> errors;
  std::uint64_t waiting_units = 0;         ///< (row, unit) pairs now without a live replica.
  std::vector<ShardDispatchStats> shards;  ///< Ascending by id.
};

}  // namespace moesaic::router
