#pragma once

#include <concepts>
#include <type_traits>

#include "monitoring/ledger/ledger_row.h"

namespace moesaic::monitoring {

template <typename T, typename Record>
concept PerhapsConst = std::same_as<std::remove_const_t<T>, Record>;

// The fields of a row, each once: `field(name, value)` is called for every one, in an order that
// never matters. Names are those of the queue file's JSON and of the tables' columns.

template <typename Fields, PerhapsConst<UsageRecord> Record>
void VisitFields(Fields& field, Record& record) {
  field("id", record.id);
  field("trace_id", record.trace_id);
  field("tenant", record.tenant);
  field("model", record.model);
  field("router", record.router);
  field("endpoint", record.endpoint);
  field("started_us", record.started);
  field("finished_us", record.finished);
  field("outcome", record.outcome);
  field("prompt_tokens", record.prompt_tokens);
  field("cached_prompt_tokens", record.cached_prompt_tokens);
  field("generated_tokens", record.generated_tokens);
  field("queue_seconds", record.queue_seconds);
  field("prefill_seconds", record.prefill_seconds);
  field("decode_seconds", record.decode_seconds);
  field("first_token_seconds", record.first_token_seconds);
  field("prefill_router_seconds", record.prefill.router_seconds);
  field("prefill_shard_seconds", record.prefill.shard_seconds);
  field("prefill_cost", record.prefill.cost);
  field("prefill_unpriced_seconds", record.prefill.unpriced_seconds);
  field("decode_router_seconds", record.decode.router_seconds);
  field("decode_shard_seconds", record.decode.shard_seconds);
  field("decode_cost", record.decode.cost);
  field("decode_unpriced_seconds", record.decode.unpriced_seconds);
  field("currency", record.currency);
}

template <typename Fields, PerhapsConst<NodeTime> Record>
void VisitFields(Fields& field, Record& record) {
  field("id", record.id);
  field("process", record.process);
  field("role", record.role);
  field("node", record.node);
  field("node_type", record.share.price_class);
  field("capacity_type", record.share.capacity_type);
  field("node_share", record.share.share);
  field("start_us", record.start);
  field("end_us", record.end);
  field("alive_seconds", record.alive_seconds);
  field("busy_seconds", record.busy_seconds);
  field("cost", record.cost);
  field("currency", record.currency);
}

}  // namespace moesaic::monitoring
