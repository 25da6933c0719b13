#include "services/flags/router_flags.h"

#include "base/status_macros.h"
#include "services/flags/ledger_flags.h"
#include "services/flags/node_flags.h"

namespace moesaic::services {

void RouterFlags::Declare(FlagTable& table) {
  model.Declare(table);
  table.AddBytes("kv-cache-bytes", options.kv_cache_bytes,
                 "Memory of the KV cache; 0 = half of what is left after the weights");
  table.Add("kv-block-tokens", options.kv_block_tokens, "Tokens per KV block")
      ->check(CLI::Range(1, 4096));
  table
      .Add("max-model-len", options.max_model_len,
           "Longest prompt and answer together, in tokens; 0 = the checkpoint's limit")
      ->check(CLI::Range(0, 1 << 24));
  table.Add("max-num-seqs", options.max_num_seqs, "Sequences computed at a time")
      ->check(CLI::Range(1, 65536));
  table
      .Add("max-step-tokens", options.max_step_tokens,
           "Positions computed in one step, of prompts and generations")
      ->check(CLI::Range(1, 1 << 20));
  table.Add("max-queue", options.max_queue, "Requests that may wait; more get 429")
      ->check(CLI::Range(0, 1 << 20));
  table
      .Add("max-step-ms", max_step_ms,
           "Prompts join a step with generations as far as it is predicted to take no longer than "
           "this, or twice what the generations take alone")
      ->check(CLI::Range(1, 3'600'000));
  table
      .Add("micro-batches", micro_batches,
           "Micro-batches in flight per step: 1, 2, or auto = what is predicted to be faster")
      ->check(CLI::IsMember({"auto", "1", "2"}));
  table.AddBytes("max-body-bytes", options.max_body_bytes, "Largest request body; more gets 413");
  table.AddBytes("max-bodies-bytes", options.max_bodies_bytes,
                 "Memory of all request bodies being read or answered; more get 503");
  table.Add("max-connections", options.max_connections, "HTTP connections; more get 503")
      ->check(CLI::Range(1, 1 << 20));
  table.Add("request-timeout-s", request_timeout_s, "Default time limit of a request")
      ->check(CLI::Range(0.001, 86400.0));
  table
      .Add("front-end-threads", options.front_end_threads,
           "Threads that tokenise and render templates")
      ->check(CLI::Range(1, 256));
  table
      .Add("reasoning-parser", reasoning_parser,
           "Divide chat answers at <think> and </think> into reasoning_content and content: think, "
           "none, or auto, which does if the checkpoint knows <think>")
      ->check(CLI::IsMember({"auto", "think", "none"}));
  table
      .Add("degraded", degraded,
           "What to do where no live shard holds an expert: none = wait for one; renormalize = go "
           "on with the token's other experts, and say so in the answer")
      ->check(CLI::IsMember({"none", "renormalize"}));
  table
      .Add("degraded-after-ms", degraded_after_ms,
           "With --degraded renormalize, how long rows wait for a lost expert first")
      ->check(CLI::Range(0, 86'400'000));
  table.Add("price-list", options.price_list,
            "File of what nodes cost (docs/cost.md); without it every price is unknown");
  table
      .Add("trace-ratio", options.trace_ratio,
           "Share of requests without a traceparent that shards log as well, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  table.AddBytes("trace-memory-bytes", options.trace_memory_bytes,
                 "Memory of the timelines that /debug/trace shows; 0 = none are kept");
  table.AddSwitch("log-prompts", options.log_prompts,
                  "Log the beginning of every prompt; without it no log has prompt text");
  table.AddSwitch("enable-return-routed-experts", options.enable_return_routed_experts,
                  "Let clients ask which experts each token was routed to");
  table.AddSwitch("enable-replay-routed-experts", options.enable_replay_routed_experts,
                  "Let clients prescribe the routing (for tests)");
  DeclareNodeFlags(table, options.zone, options.node_share);
  DeclareLedgerFlags(table, options.ledger);
  table.AddSwitch("insecure", options.insecure, "Allow listening beyond loopback without TLS");
}

void RouterFlags::DeclareIdentity(FlagTable& table) {
  table.Add("name", options.name, "Stable name of this router");
  table.Add("coordinator", options.coordinator_address, "host:port of the coordinator")->required();
  table.Add("listen", options.listen_address, "host:port of gRPC Inference; port 0 = any free one");
  table.Add("http-listen", options.http_address, "host:port of the OpenAI API; port 0 = any");
  table.Add("advertise", options.advertised_address,
            "host:port by which the console reaches the OpenAI API; default: the address bound");
  table.Add("node", options.node, "Machine this runs on");
  table.Add("state-dir", options.state_dir, "Folder of the remembered placement");
  DeclareLedgerQueueFlag(table, options.ledger);
  table.AddSwitch("reflection", options.reflection, "Serve gRPC reflection");
}

absl::StatusOr<router::RouterOptions> RouterFlags::Resolve() const {
  router::RouterOptions result = options;
  MOESAIC_RETURN_IF_ERROR(model.ApplyTo(result));
  MOESAIC_RETURN_IF_ERROR(ResolveLedger(result.state_dir, result.ledger));
  result.request_timeout = absl::Seconds(request_timeout_s);
  result.max_step_time = absl::Milliseconds(max_step_ms);
  if (micro_batches != "auto") result.micro_batches = micro_batches == "2" ? 2 : 1;
  if (degraded == "renormalize") result.degraded_after = absl::Milliseconds(degraded_after_ms);
  MOESAIC_ASSIGN_OR_RETURN(result.reasoning, router::ParseReasoningMode(reasoning_parser));
  return result;
}

}  // namespace moesaic::services
