"""Dashboards of who is on call: overview, saturation and failure, experts, one shard."""
from grafana import (AMBER, GREEN, RED, bargauge, board, gauge, heatmap, mean, quantile, quantiles, rate, stat, table,
                     timeseries)

GENERATIONS = 'moesaic_requests_total{endpoint=~".*completions|grpc/Generate"}'


def overview():
    return board("moesaic-overview", "1 Overview and objectives",
                 "Is it healthy, and do its users get what they were promised?", [
        ("Now", [
            stat("Alerts firing", "Of any severity.",
                 'count(ALERTS{alertstate="firing", cluster=~"$cluster|"}) or vector(0)',
                 steps=[(1, RED)], width=3, see="alerts.md"),
            stat("Failed requests", "Share of generation requests with 5xx, or broken off after their first tokens; 5 "
                                    "minutes.",
                 "max(cluster:moesaic_request_errors:ratio_rate5m) or vector(0)", "percentunit",
                 [(0.01, AMBER), (0.05, RED)], width=3,
                 see="alerts.md#higherrorratio", decimals=1),
            stat("First token, p95", "Time from arrival to the first token that 95 % of requests stay below.",
                 quantile(0.95, "moesaic_time_to_first_token_seconds"), "s", [(2.5, RED)], width=3,
                 see="alerts.md#timetofirsttokensloburn"),
            stat("Between tokens, p95", "Time between two tokens of an answer.",
                 quantile(0.95, "moesaic_inter_token_latency_seconds"),
                 "s", [(0.15, RED)], width=3, see="alerts.md#intertokenlatencysloburn"),
            stat("Tokens/s", "Generated and delivered.", f"sum({rate('moesaic_generated_tokens_total')})", width=3),
            stat("In flight", "Generation requests accepted and not finished.", "sum(moesaic_requests_in_flight)",
                 width=3),
            stat("Ready shards", "That the worst connected router can send work to.", "min(moesaic_ready_shards)",
                 base=RED,
                 steps=[(1, GREEN)], width=3, see="alerts.md#noreadyshards"),
            stat("Uncovered units", "Expert units that no live shard holds.", "max(moesaic_units_uncovered)",
                 steps=[(1, RED)],
                 width=3, see="alerts.md#expertuncovered")]),
        ("Objectives: 99 % of first tokens within 2.5 s, of further tokens within 0.15 s", [
            timeseries("How fast the error budget burns",
                       "Share of late answers over the last hour as a multiple of the 1 % that may be. "
                       "1 = the budget just lasts the month; 14.4 wakes somebody.",
                       [("cluster:moesaic_time_to_first_token_missed:ratio_rate1h / 0.01", "first token"),
                        ("cluster:moesaic_inter_token_latency_missed:ratio_rate1h / 0.01", "further tokens")],
                       limit=14.4, see="alerts.md#timetofirsttokensloburn"),
            timeseries("Late answers", "Share over the last 5 minutes that missed the objective.",
                       [("cluster:moesaic_time_to_first_token_missed:ratio_rate5m", "first token"),
                        ("cluster:moesaic_inter_token_latency_missed:ratio_rate5m", "further tokens")], "percentunit"),
            timeseries("Failed requests",
                       "By status code (5xx), and by outcome, which also sees streams that broke after their 200.",
                       [("cluster:moesaic_request_errors:ratio_rate5m", "seen by {{seen_by}}")], "percentunit",
                       limit=0.05,
                       see="alerts.md#higherrorratio")]),
        ("Traffic", [
            timeseries("Requests by code", "Generation requests per second.",
                       [(f"sum by (code) ({rate(GENERATIONS)})", "{{code}}")],
                       "reqps", width=6, stacked=True, see="alerts.md#higherrorratio"),
            timeseries("Outcomes", "Generation requests per second by how they ended. cancelled = the client left.",
                       [(f"sum by (outcome) ({rate('moesaic_request_outcomes_total')})", "{{outcome}}")], "reqps",
                       width=6, stacked=True),
            timeseries("Refused", "Requests refused before they were computed, by reason.",
                       [(f"sum by (reason) ({rate('moesaic_rejections_total')})", "{{reason}}")], "reqps", width=6,
                       stacked=True,
                       see="alerts.md#queuewaithigh"),
            timeseries("Tokens per second",
                       "Prompt tokens count when their request has finished; cached ones cost no computing.",
                       [(f"sum({rate('moesaic_prompt_tokens_total')})", "prompt"),
                        (f"sum({rate('moesaic_cached_prompt_tokens_total')})", "of these cached"),
                        (f"sum({rate('moesaic_generated_tokens_total')})", "generated")], width=6)]),
        ("Latency", [
            timeseries("Time to first token", "From the arrival of a request. A slow one's trace: docs/operations.md.",
                       quantiles("moesaic_time_to_first_token_seconds"), "s", width=6,
                       see="alerts.md#timetofirsttokensloburn"),
            timeseries("Between tokens", "Between two tokens of one choice.",
                       quantiles("moesaic_inter_token_latency_seconds"), "s",
                       width=6, see="alerts.md#intertokenlatencysloburn"),
            timeseries("Whole requests", "From arrival to end.", quantiles("moesaic_request_duration_seconds"), "s",
                       width=6),
            timeseries("Mean seconds by phase",
                       "What a request spent waiting, on its prompt, and on its answer; failed ones too.",
                       [(mean("moesaic_request_phase_seconds", "phase"), "{{phase}}")], "s", width=6, stacked=True),
            heatmap("Time to first token, all requests", "The slow tail that quantiles hide.",
                    "moesaic_time_to_first_token_seconds"),
            heatmap("Between tokens, all tokens", "Two bands = two kinds of requests, or of shards.",
                    "moesaic_inter_token_latency_seconds")]),
        ("Alerts", [
            table("Firing now", "The runbooks are in docs/alerts.md.",
                  [('max by (alertname, severity, name) (ALERTS{alertstate="firing", cluster=~"$cluster|"}) or '
                    'vector(0)', "Firing", "none")],
                  "alertname", height=6, see="alerts.md")]),
    ])


def saturation():
    return board("moesaic-saturation", "2 Saturation and failure",
                 "What is full, what breaks, and what was done about it.", [
        ("Routers: how full", [
            gauge("Saturation", "The fullest of running generations, queue and KV cache, by router.",
                  [("max by (name) (moesaic_saturation_ratio)", "{{name}}")], [(0.8, AMBER), (0.95, RED)], width=4,
                  see="alerts.md#queuewaithigh"),
            timeseries("KV cache in use",
                       "Full means preemptions: generations go back to the queue and are computed again.",
                       [("max by (name) (moesaic_kv_cache_usage_ratio)", "{{name}}")], "percentunit", width=5, top=1),
            timeseries("Running and queued", "Generations.", [("sum(moesaic_running_generations)", "running"),
                                                              ("sum by (priority) (moesaic_queue_length)",
                                                               "queued, {{priority}}")], width=5),
            timeseries("Wait in the queue", "From submission to the first step.",
                       quantiles("moesaic_queue_wait_seconds"), "s", width=5,
                       limit=5, see="alerts.md#queuewaithigh"),
            timeseries("Queued prompts and preemptions", "Bytes of queued prompts; preemptions per second.",
                       [("sum(moesaic_queue_bytes)", "queued bytes"),
                        (f"sum({rate('moesaic_preemptions_total')})", "preemptions/s")], width=5)]),
        ("Routers: where a step's time goes", [
            timeseries("Step time by phase",
                       "Mean per step. dispatch = waiting for the shards: if it is most, look at them.",
                       [(f"sum by (phase) ({rate('moesaic_step_phase_seconds_total')}) / on () group_left () "
                         f"sum({rate('moesaic_steps_total')})",
                         "{{phase}}")], "s", stacked=True, see="alerts.md#intertokenlatencysloburn"),
            timeseries("Step duration", "From the start of a step to its last result.",
                       quantiles("moesaic_step_duration_seconds"), "s"),
            timeseries("Tokens per step", "Mean positions computed at once: few = steps cost mostly their overhead.",
                       [(mean("moesaic_step_tokens", "name"), "{{name}}")])]),
        ("Shards: how busy", [
            timeseries("Busy share", "Of its time, each process computes so much; routers without waiting for shards.",
                       [(f"sum by (name) ({rate('moesaic_busy_seconds_total')})", "{{name}}")], "percentunit"),
            timeseries("Rows in flight", "Result rows that routers await, by shard.",
                       [("sum by (shard) (moesaic_in_flight_rows)", "{{shard}}")]),
            timeseries("Wait in shards", "Mean per dispatch, before its batch began, by shard.",
                       [(f"sum by (shard) ({rate('moesaic_dispatch_queue_wait_seconds_total')}) / "
                         f"(sum by (shard) ({rate('moesaic_dispatch_duration_seconds_count')}) > 0)", "{{shard}}")],
                         "s")]),
        ("Failure", [
            timeseries("RPC errors", "Broken dispatch streams and answers that were not OK, per second, by code.",
                       [(f"sum by (code) ({rate('moesaic_rpc_errors_total')})", "{{code}}")], "ops", width=6,
                       see="alerts.md#processdown"),
            timeseries("Hedges", "Dispatches sent to a second replica because the first was late, and rows it brought "
                                 "first; per second.",
                       [(f"sum({rate('moesaic_hedges_total')})", "hedges"),
                        (f"sum({rate('moesaic_hedge_wins_total')})", "rows won")], "ops", width=6),
            timeseries("Retries", "(Row, unit) pairs sent again; dispatches that never came back; hedges and retries "
                                  "the budget refused; per second.",
                       [(f"sum({rate('moesaic_retried_units_total')})", "retried units"),
                        (f"sum({rate('moesaic_abandoned_dispatches_total')})", "abandoned dispatches"),
                        (f"sum({rate('moesaic_retry_budget_refusals_total')})", "refused by the budget")], "ops",
                        width=6),
            timeseries("Retry budget left",
                       "Hedges and retries that would be allowed at once. 0 = a failing cluster is not hit harder.",
                       [("min by (name) (moesaic_retry_budget_left)", "{{name}}")], width=6),
            timeseries("Kept back", "(Row, unit) pairs that wait for a replica now, and those held by flow control per "
                                    "second.",
                       [("sum(moesaic_waiting_units)", "waiting"),
                        (f"sum({rate('moesaic_throttled_units_total')})", "throttled/s")], width=6,
                       see="alerts.md#expertuncovered"),
            timeseries("Shards avoided or lost",
                       "Suspicions per second (a shard was silent), and leases that ended without a farewell, in an "
                       "hour.",
                       [(f"sum({rate('moesaic_shard_suspicions_total')})", "suspicions/s"),
                        ("sum(increase(moesaic_shards_lost_total[1h]))", "lost in an hour")], width=6,
                        see="alerts.md#processdown"),
            timeseries("Degraded answers",
                       "Tokens computed without some of their experts (--degraded renormalize), per second.",
                       [(f"sum({rate('moesaic_degraded_tokens_total')})", "tokens"),
                        (f"sum({rate('moesaic_degraded_units_total')})", "units left out")],
                       "ops", width=6),
            timeseries("Draining", "Seconds since a process began to finish what it has. Removals frozen: too many "
                                   "leases ended at once.",
                       [("moesaic_drain_seconds", "{{name}}"), ("moesaic_removals_frozen", "removals frozen")], "s",
                       width=6)]),
    ])


def experts():
    return board("moesaic-experts", "3 Experts and placement",
                 "Which experts are used, who holds them, and what that costs in time.", [
        ("Now", [
            stat("Imbalance", "Busy time of the busiest shard over the mean. 1 = even; 2 = half of the other shards' "
                              "time is lost.",
                 "max(moesaic_expert_imbalance_ratio)", steps=[(1.5, AMBER), (2, RED)], see="alerts.md#expertimbalance",
                 decimals=2),
            stat("Uncovered units", "No live shard holds them.", "max(moesaic_units_uncovered)", steps=[(1, RED)],
                 see="alerts.md#expertuncovered"),
            stat("Below their replicas", "Units with fewer live copies than wanted.",
                 "max(moesaic_units_below_replicas)", steps=[(1, AMBER)],
                 see="alerts.md#expertuncovered"),
            stat("Live replicas", "Of all units together.", "max(moesaic_ready_replicas)"),
            stat("Moves in flight", "Loads and unloads under way.", "max(moesaic_moves_in_flight)",
                 see="alerts.md#rebalancestalled"),
            stat("Placement", "Version within its term.", "max(moesaic_placement_version)", "none")]),
        ("Use", [
            timeseries("Tokens by shard", "(Row, expert) assignments per second.",
                       [("sum by (shard) (moesaic_expert_tokens_per_second)", "{{shard}}")],
                       width=12, stacked=True, see="alerts.md#expertimbalance"),
            timeseries("Imbalance", "Above 2 for 10 minutes with traffic it alerts.",
                       [("max(moesaic_expert_imbalance_ratio)", "busiest over mean")],
                       width=12, limit=2, see="alerts.md#expertimbalance"),
            bargauge("Tokens by layers", "Assignments per second by group of eight layers.",
                     [("sum by (layers) (moesaic_expert_tokens_per_second)", "layers {{layers}}")], width=8),
            bargauge("Hot units", "Assignments per second of the most used units. Which they are: the console's heat "
                                  "map.",
                     [("sort_desc(max by (rank) (moesaic_hot_expert_tokens_per_second))", "{{rank}}")], width=8),
            bargauge("Replicas of hot units", "Live copies of the same.",
                     [("max by (rank) (moesaic_hot_expert_replicas)", "{{rank}}")], width=8),
            table("Tokens by shard and layers", "Assignments per second, now.",
                  [("sum by (shard, layers) (moesaic_expert_tokens_per_second)", "Tokens/s", "short")], "shard",
                  height=8)]),
        ("Dispatch", [
            timeseries("Dispatch p99 by shard", "From sending to the last part of the answer, one layer.",
                       [(quantile(0.99, "moesaic_dispatch_duration_seconds", "shard"), "{{shard}}")], "s",
                       see="alerts.md#intertokenlatencysloburn"),
            timeseries("Computing per dispatch", "Mean seconds of the batch it was in, as the shard says.",
                       [(f"sum by (shard) ({rate('moesaic_dispatch_compute_seconds_total')}) / "
                         f"(sum by (shard) ({rate('moesaic_dispatch_duration_seconds_count')}) > 0)", "{{shard}}")],
                         "s"),
            timeseries("Tensor bytes", "Sent to and received from shards, per second.",
                       [(f"sum by (shard) ({rate('moesaic_dispatch_sent_bytes_total')})", "to {{shard}}"),
                        (f"sum by (shard) ({rate('moesaic_dispatch_received_bytes_total')})", "from {{shard}}")],
                        "Bps")]),
        ("Changes", [
            timeseries("New placements", "In an hour, by reason.",
                       [("sum by (reason) (increase(moesaic_rebalances_total[1h]))", "{{reason}}")],
                       width=6, see="alerts.md#rebalancethrash"),
            timeseries("Moves by outcome", "Loads and unloads per second.",
                       [(f"sum by (kind, outcome) ({rate('moesaic_moves_total')})", "{{kind}} {{outcome}}")], "ops",
                       width=6,
                       see="alerts.md#rebalancestalled"),
            timeseries("Loaded", "Bytes of expert weights per second that moves loaded.",
                       [(f"sum({rate('moesaic_moved_bytes_total')})", "loaded")],
                       "Bps", width=6),
            timeseries("Spread", "Units whose replicas share a node or a zone for want of others; they are lost "
                                 "together.",
                       [("max(moesaic_units_sharing_node)", "share a node"),
                        ("max(moesaic_units_sharing_zone)", "share a zone"),
                        ("max(moesaic_rebalancing)", "rebalancing (0 or 1)")], width=6)]),
    ])


def shard():
    own = 'name=~"$shard"'
    peer = 'shard=~"$shard"'
    return board("moesaic-shard", "7 One shard", "A shard as it sees itself, and as routers see it.", [
        ("Now", [
            stat("Units held", "That can be computed here.", f"sum(moesaic_shard_held_units{{{own}}})"),
            stat("Memory in use", "Expert weights, as a share of the limit; of the fullest shard chosen.",
                 f"max(moesaic_shard_held_bytes{{{own}}} / moesaic_shard_memory_bytes{{{own}}})", "percentunit",
                 [(0.95, AMBER)]),
            stat("Busy", "Share of its time in which it computes; of the busiest shard chosen.",
                 f"max(sum by (name) (rate(moesaic_busy_seconds_total{{{own}}}[$__rate_interval])))", "percentunit",
                 [(0.8, AMBER), (0.95, RED)],
                 see="alerts.md#expertimbalance"),
            stat("Time per row", "Measured: one more assignment.", f"avg(moesaic_seconds_per_row{{{own}}})", "s"),
            stat("Time per expert", "Measured: one more distinct expert, i.e. its weights read from memory.",
                 f"avg(moesaic_seconds_per_expert{{{own}}})", "s"),
            stat("Draining", "Shards chosen that finish what they have and take no more.",
                 f"sum(moesaic_draining{{{own}}})", steps=[(1, AMBER)])]),
        ("Work", [
            timeseries("Busy share by phase", "Of its time. 100 % = the shard is the limit.",
                       [(f"sum by (name, phase) (rate(moesaic_busy_seconds_total{{{own}}}[$__rate_interval]))",
                         "{{name}} {{phase}}")],
                       "percentunit", stacked=True, see="alerts.md#expertimbalance"),
            timeseries("Assignments by layers", "(Row, expert) pairs computed per second.",
                       [(f"sum by (layers) (rate(moesaic_expert_rows_total{{{own}}}[$__rate_interval]))",
                         "layers {{layers}}")], stacked=True),
            timeseries("Batches", "Per second, and mean assignments in one: large batches read weights once for many "
                                  "rows.",
                       [(f"sum by (name) (rate(moesaic_shard_batches_total{{{own}}}[$__rate_interval]))",
                         "{{name}} batches/s"),
                        (f"sum by (name) (rate(moesaic_shard_batch_tokens_sum{{{own}}}[$__rate_interval])) / "
                         f"(sum by (name) (rate(moesaic_shard_batch_tokens_count[$__rate_interval])) > 0)",
                         "{{name}} assignments in one")])]),
        ("Waiting", [
            timeseries("Rows waiting", "By lane.",
                       [(f"sum by (name, lane) (moesaic_shard_queue_rows{{{own}}})", "{{name}} {{lane}}")]),
            timeseries("Wait for a batch",
                       "Seconds that dispatches waited, per second, by lane. 1 = always one waiting.",
                       [(f"sum by (name, lane) "
                         f"(rate(moesaic_shard_queue_wait_seconds_total{{{own}}}[$__rate_interval]))",
                         "{{name}} {{lane}}")], "s"),
            timeseries("Dispatches answered", "Per second, by outcome.",
                       [(f"sum by (name, code) (rate(moesaic_shard_dispatches_total{{{own}}}[$__rate_interval]))",
                         "{{name}} {{code}}")], "ops")]),
        ("As routers see it", [
            timeseries("Dispatch duration", "p50 and p99, all routers.",
                       [(quantile(0.5, f"moesaic_dispatch_duration_seconds{{{peer}}}", "shard"), "{{shard}} p50"),
                        (quantile(0.99, f"moesaic_dispatch_duration_seconds{{{peer}}}", "shard"), "{{shard}} p99")],
                        "s",
                       see="alerts.md#intertokenlatencysloburn"),
            timeseries("Dispatches and rows", "Sent per second.",
                       [(f"sum by (shard) (rate(moesaic_dispatches_total{{{peer}}}[$__rate_interval]))",
                         "{{shard}} dispatches"),
                        (f"sum by (shard) (rate(moesaic_dispatched_rows_total{{{peer}}}[$__rate_interval]))",
                         "{{shard}} rows")], "ops"),
            timeseries("Rows in flight", "Awaited now.",
                       [(f"sum by (shard) (moesaic_in_flight_rows{{{peer}}})", "{{shard}}")])]),
        ("Process", [
            timeseries("Processor", "Cores in use.",
                       [(f"rate(moesaic_process_cpu_seconds_total{{{own}}}[$__rate_interval])", "{{name}}")], width=6),
            timeseries("Memory", "Resident, and of that expert weights.",
                       [(f"moesaic_process_resident_bytes{{{own}}}", "{{name}} resident"),
                                                                           (f"moesaic_shard_held_bytes{{{own}}}",
                                                                            "{{name}} weights")], "bytes", width=6),
            timeseries("Tensor bytes", "Received and sent per second.",
                       [(f"rate(moesaic_shard_received_bytes_total{{{own}}}[$__rate_interval])", "{{name}} received"),
                        (f"rate(moesaic_shard_sent_bytes_total{{{own}}}[$__rate_interval])", "{{name}} sent")], "Bps",
                        width=6),
            timeseries("Units loaded", "In an hour.",
                       [(f"increase(moesaic_unit_loads_total{{{own}}}[1h])", "{{name}}")], width=6,
                       see="alerts.md#rebalancethrash")]),
    ], shards=True)
