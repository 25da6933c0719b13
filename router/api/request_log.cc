#include "router/api/request_log.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

/// Of a prompt: enough to recognise it, not enough to fill a disk.
constexpr std::size_t kMaxPromptTokens = 256;
constexpr std::size_t kMaxPromptBytes = 1024;

void AddWork(const monitoring::UsageRecord& usage, std::vector<base::LogField>& fields) {
  fields.push_back({"router_seconds", usage.prefill.router_seconds + usage.decode.router_seconds});
  fields.push_back({"shard_seconds", usage.prefill.shard_seconds + usage.decode.shard_seconds});
  // What has no price costs something unknown, not nothing.
  if (!usage.currency.empty()) {
    fields.push_back({"prefill_cost", usage.prefill.cost});
    fields.push_back({"decode_cost", usage.decode.cost});
    fields.push_back({"currency", usage.currency});
  }
  fields.push_back(
      {"unpriced_seconds", usage.prefill.unpriced_seconds + usage.decode.unpriced_seconds});
}

}  // namespace

void LogRequest(const RequestLogLine& line) {
  if (!base::LogEnabled(base::LogLevel::kInfo)) return;
  const monitoring::UsageRecord& usage = line.usage;
  const bool cancelled = usage.outcome == monitoring::RequestOutcome::kCancelled;
  const int code = cancelled && line.status.ok() ? 499 : http::HttpStatusOf(line.status);
  std::vector<base::LogField> fields = {
      {"request_id", line.request_id},
      {"trace_id", usage.trace_id},
      {"tenant", usage.tenant},
      {"endpoint", usage.endpoint},
      {"outcome", monitoring::RequestOutcomeName(usage.outcome)},
      {"code", std::int64_t{code}},
      {"prompt_tokens", usage.prompt_tokens},
      {"cached_prompt_tokens", usage.cached_prompt_tokens},
      {"generated_tokens", usage.generated_tokens},
      {"seconds", absl::ToDoubleSeconds(usage.finished - usage.started)},
      {"queue_seconds", usage.queue_seconds},
      {"prefill_seconds", usage.prefill_seconds},
      {"decode_seconds", usage.decode_seconds}};
  if (usage.first_token_seconds) {
    fields.push_back({"first_token_seconds", *usage.first_token_seconds});
  }
  static constexpr std::array<std::string_view, kStepPhases> kPhaseFields = {
      "step_attention_seconds", "step_gate_seconds",  "step_shared_seconds",
      "step_combine_seconds",   "step_head_seconds",  "step_sample_seconds",
      "step_other_seconds",     "step_pack_seconds",  "step_wire_seconds",
      "step_queue_seconds",     "step_expert_seconds"};
  for (std::size_t phase = 0; phase < kStepPhases; ++phase) {
    fields.push_back({kPhaseFields[phase], line.steps.seconds[phase]});
  }
  AddWork(usage, fields);
  if (!line.status.ok()) fields.push_back({"error", base::ToStd(line.status.message())});
  if (!line.prompt.empty()) fields.push_back({"prompt", line.prompt});
  base::Log(base::LogLevel::kInfo, "request", fields);
}

std::string PromptToLog(const model::Tokenizer& tokenizer, const GenerationRequest& generation) {
  std::vector<std::int32_t> ids = generation.prompt_token_ids;
  ids.resize(std::min(ids.size(), kMaxPromptTokens));
  return tokenizer.Decode(ids, /*skip_special_tokens=*/false).substr(0, kMaxPromptBytes);
}

}  // namespace moesaic::router
