"""Dashboards of who plans and who pays: capacity, cost, GPUs and nodes."""
from grafana import AMBER, MONEY, RED, board, gauge, quantiles, rate, stat, table, timeseries

AUTOSCALER = 'horizontalpodautoscaler=~"(keda-hpa-)?moesaic.*"'
NODE_COST = "max by (role, node_type, capacity_type) (moesaic_node_cost_usd_per_hour)"
COST = "max(cluster:moesaic_node_cost_usd_per_hour:sum)"
TENANT_COST = f"sum by (tenant) ({rate('moesaic_tenant_cost_usd_total')})"


def capacity():
    """The left column reads downwards: what is asked for, and how it becomes shards and then speed."""
    return board("moesaic-capacity", "4 Capacity",
                 "How much more can it take, and does more come when it is asked for?", [
        ("Now", [
            stat("Headroom", "Tokens per second that could be generated besides the present ones, with the same mix of "
                             "requests.",
                 "max(moesaic_cluster_capacity_tokens_per_second) - max(moesaic_cluster_throughput_tokens_per_second)",
                 width=5),
            stat("Used", "Share of what the cluster could generate.",
                 "max(moesaic_cluster_throughput_tokens_per_second) / (max(moesaic_cluster_capacity_tokens_per_second) "
                 "> 0)", "percentunit",
                 [(0.7, AMBER), (0.9, RED)], width=5),
            stat("Serving shards", "That serve and hold units.", "max(moesaic_serving_shards)", width=5),
            stat("Routers", "That follow the placement.", "max(moesaic_connected_routers)", width=5),
            stat("Cold start", "Seconds from the start of a process to its weights being loaded; the slowest.",
                 "max(moesaic_model_load_seconds)",
                 "s", width=4)]),
        ("From demand to speed", [
            timeseries("1 Demand", "Generated tokens per second, and generations that wait.",
                       [("sum(moesaic_throughput_tokens_per_second)", "tokens/s"),
                        ("sum(moesaic_queue_length)", "queued"),
                        ("sum(moesaic_running_generations)", "running")], width=14, height=6),
            timeseries("Headroom", "What could be generated at saturation with the present mix, and what is. By "
                                   "router, the limit of each.",
                       [("max(moesaic_cluster_capacity_tokens_per_second)", "cluster could"),
                        ("max(moesaic_cluster_throughput_tokens_per_second)", "cluster does"),
                        ("moesaic_capacity_tokens_per_second", "{{name}} could")], width=10, height=6),
            timeseries("2 Desired shards", "By moesaic scale or the coordinator, and by the autoscaler.",
                       [("max(moesaic_desired_shards)", "coordinator"),
                        (f"kube_horizontalpodautoscaler_status_desired_replicas{{{AUTOSCALER}}}",
                         "{{horizontalpodautoscaler}}"),
                        (f"kube_horizontalpodautoscaler_spec_max_replicas{{{AUTOSCALER}}}",
                         "{{horizontalpodautoscaler}}, at most")],
                       width=14, height=6, see="alerts.md#atmaxreplicas"),
            timeseries("Pending pods", "Created, and without a node: quota, or no machine with room.",
                       [('sum by (namespace) (kube_pod_status_phase{phase="Pending", pod=~"moesaic.*"})',
                         "{{namespace}}")], width=10, height=6,
                       see="alerts.md#desirednotready"),
            timeseries("3 Created shards", "Pods that exist, and shards that have registered.",
                       [("max(moesaic_registered_shards)", "registered"),
                        (f"kube_horizontalpodautoscaler_status_current_replicas{{{AUTOSCALER}}}",
                         "{{horizontalpodautoscaler}}")],
                       width=14, height=6, see="alerts.md#desirednotready"),
            timeseries("Cold start", "Seconds from start to loaded, by process.",
                       [("moesaic_model_load_seconds", "{{name}}")], "s", width=10, height=6),
            timeseries("4 Ready shards",
                       "Serving, as the coordinator sees it, and connected, as the worst router does.",
                       [("max(moesaic_serving_shards)", "serving"), ("min(moesaic_ready_shards)", "connected")],
                       width=14, height=6,
                       see="alerts.md#desirednotready"),
            timeseries("Autoscaler errors", "KEDA's failed attempts to read its metric, per second.",
                       [('sum by (scaledObject) '
                         '(rate({__name__=~"keda_scaler_errors|keda_scaler_detail_errors_total"}[$__rate_interval]))',
                         "{{scaledObject}}")], "ops", width=10, height=6, see="alerts.md#autoscalerfallback"),
            timeseries("5 Time to first token", "What it was all for.",
                       quantiles("moesaic_time_to_first_token_seconds"), "s", width=14, height=6,
                       see="alerts.md#timetofirsttokensloburn"),
            timeseries("Wait in the queue", "The part of it that more shards take away.",
                       quantiles("moesaic_queue_wait_seconds"), "s", width=10,
                       height=6, see="alerts.md#queuewaithigh")]),
    ])


def cost():
    def usd(kind):
        return f'max(cluster:moesaic_usd_per_million_tokens:rate5m{{kind="{kind}"}})'

    return board("moesaic-cost", "5 Cost",
                 "What it costs, what for, and who pays. In the currency of the price list; where a price is "
                 "unknown there is no figure, never 0.", [
        ("Now", [
            stat("Per hour", "Price of all nodes in use, each counted once.", COST, MONEY, decimals=2),
            stat("Month at this pace", "Per hour times 730.", f"730 * {COST}", MONEY, see="alerts.md#budgetburn",
                 decimals=0),
            stat("Of the budget", "Month at this pace over --budget-per-month.",
                 f"730 * {COST} / max(moesaic_budget_usd_per_month)",
                 "percentunit", [(0.9, AMBER), (1, RED)], see="alerts.md#budgetburn", decimals=0),
            stat("A million tokens", "All cost over all tokens, prompt and generated.", usd("blended"), MONEY,
                 see="alerts.md#costpermtokhigh",
                 decimals=2),
            stat("Idle", "Share of the price that bought time in which nothing was computed.",
                 "max(cluster:moesaic_idle_cost:ratio_rate5m)",
                 "percentunit", [(0.5, AMBER), (0.8, RED)], see="alerts.md#idlespend", decimals=0),
            stat("Without a price", "Nodes whose type is not in the price list: they are missing in every figure here.",
                 "max(moesaic_nodes_without_price)", steps=[(0.001, AMBER)])]),
        ("What is paid", [
            timeseries("By node type", "Per hour. One cluster serves one model: choose another above.",
                       [(f"sum by (node_type, capacity_type) ({NODE_COST})", "{{node_type}} {{capacity_type}}")], MONEY,
                       stacked=True),
            timeseries("By role", "Per hour; routers and the coordinator are shared by all that the shards do.",
                       [(f"sum by (role) ({NODE_COST})", "{{role}}")], MONEY, stacked=True),
            timeseries("Month at this pace, and the budget", "Per hour times 730.",
                       [(f"730 * {COST}", "month"), ("max(moesaic_budget_usd_per_month)", "budget")], MONEY,
                       see="alerts.md#budgetburn")]),
        ("What for", [
            timeseries("A million tokens",
                       "input: prompt tokens that had to be computed; output: generated; blended: all. Cost is split "
                       "by measured "
                       "seconds of prefill and decode.",
                       [("max by (kind) (cluster:moesaic_usd_per_million_tokens:rate5m)", "{{kind}}")], MONEY,
                       see="alerts.md#costpermtokhigh"),
            timeseries("Used and idle", "Per hour. Used = price of the seconds that requests made processes compute.",
                       [("max(cluster:moesaic_used_cost_usd_per_hour:rate5m)", "used"),
                        (f"{COST} - max(cluster:moesaic_used_cost_usd_per_hour:rate5m)", "idle")], MONEY, stacked=True,
                        see="alerts.md#idlespend"),
            timeseries("Used, by phase", "Per hour.",
                       [(f"3600 * sum by (phase) ({rate('moesaic_cost_usd_total')})", "{{phase}}")], MONEY,
                       stacked=True)]),
        ("What it could cost", [
            timeseries("Imbalance tax",
                       "Per hour: what the shards cost while they wait for the busiest of them. Cost of shards times "
                       "(1 - mean / max).",
                       [('sum(max by (node_type, capacity_type) (moesaic_node_cost_usd_per_hour{role="shard"})) * '
                         "(1 - 1 / max(moesaic_expert_imbalance_ratio))", "imbalance tax")], MONEY, width=6,
                         see="alerts.md#expertimbalance"),
            timeseries("Headroom", "Per hour: what stands ready for more load.",
                       [(f"{COST} * (1 - max(moesaic_cluster_throughput_tokens_per_second) / "
                         "(max(moesaic_cluster_capacity_tokens_per_second) > 0))", "headroom")], MONEY, width=6,
                         see="alerts.md#idlespend"),
            timeseries("Saved by the prefix cache", "Per hour: cached prompt tokens at the price of computed ones.",
                       [(f"3600e-6 * sum({rate('moesaic_cached_prompt_tokens_total')}) * {usd('input')}", "saved")],
                       MONEY, width=6),
            timeseries("Saved by spot", "Per hour: the same nodes on demand, less what they cost.",
                       [(f"sum(max by (role, node_type) (moesaic_node_cost_on_demand_usd_per_hour)) - {COST}",
                         "saved")], MONEY, width=6)]),
        ("Who pays", [
            timeseries("By tenant", "Per hour, of what requests used, without idle time. The ten largest.",
                       [(f"topk(10, 3600 * {TENANT_COST})", "{{tenant}}")], MONEY, width=12, stacked=True),
            table("Tenants", "Total = with each tenant's part of idle and shared cost, in proportion to what it used. "
                             "Bills: moesaic usage.",
                  [(f"3600 * {TENANT_COST}", "Used per hour", MONEY),
                   (f"{TENANT_COST} / on () group_left () (sum({rate('moesaic_tenant_cost_usd_total')}) > 0) * on () "
                    f"group_left () {COST}",
                    "Total per hour", MONEY),
                   (f"sum by (tenant) ({rate('moesaic_generated_tokens_total')})", "Generated/s", "short"),
                   (f"sum by (tenant) ({rate('moesaic_prompt_tokens_total')})", "Prompt/s", "short")], "tenant",
                   width=12)]),
        ("Can the figures be trusted?", [
            timeseries("Usage records", "By what became of them, per second.",
                       [(f"sum by (outcome) ({rate('moesaic_ledger_records_total')})", "{{outcome}}")], "ops",
                       see="alerts.md#ledgerrecordsdropped"),
            timeseries("Not yet in the database", "Records queued, and failed attempts per second.",
                       [("sum(moesaic_ledger_queue_records)", "queued"),
                        (f"sum({rate('moesaic_ledger_errors_total')})", "errors/s")],
                       see="alerts.md#ledgerrecordsdropped"),
            timeseries("Work without a price",
                       "Machine seconds per second that requests used on nodes of unknown price.",
                       [(f"sum({rate('moesaic_unpriced_work_seconds_total')})", "seconds")], "s")]),
    ])


def machines():
    return board("moesaic-machines", "6 GPUs and nodes",
                 "What the machines do. GPU panels are empty where there is no card.", [
        ("GPUs", [
            timeseries("Utilisation", "Share of time in which some kernel ran; it says nothing about how well.",
                       [("moesaic_gpu_utilization_ratio", "{{name}} gpu {{gpu}}")], "percentunit", top=1),
            gauge("Memory in use", "By whomever.",
                  [("moesaic_gpu_memory_used_bytes / moesaic_gpu_memory_total_bytes", "{{name}} gpu {{gpu}}")],
                  [(0.9, AMBER), (0.97, RED)], width=8),
            timeseries("Power", "Drawn now.", [("moesaic_gpu_power_watts", "{{name}} gpu {{gpu}}")], "watt"),
            timeseries("Energy per token", "Joules of all cards over generated tokens.",
                       [(f"sum({rate('moesaic_gpu_energy_joules_total')}) / "
                         f"(sum({rate('moesaic_generated_tokens_total')}) > 0)", "joules per token")],
                       "joule"),
            timeseries("Temperature", "Of the chip.", [("moesaic_gpu_temperature_celsius", "{{name}} gpu {{gpu}}")],
                       "celsius"),
            timeseries("Memory errors", "Uncorrected, in an hour. Any is too many.",
                       [("increase(moesaic_gpu_ecc_errors_total[1h])", "{{name}} gpu {{gpu}}")],
                       see="alerts.md#gpuerrors")]),
        ("Processes", [
            timeseries("Processor", "Cores in use.", [(rate("moesaic_process_cpu_seconds_total"), "{{name}}")]),
            timeseries("Memory", "Resident.", [("moesaic_process_resident_bytes", "{{name}}")], "bytes"),
            timeseries("Network", "Bytes per second of the pod, or of the machine where processes share its network.",
                       [(rate("moesaic_network_received_bytes_total"), "{{name}} received"),
                        (rate("moesaic_network_sent_bytes_total"), "{{name}} sent")],
                       "Bps"),
            timeseries("Open files", "Descriptors.", [("moesaic_process_open_files", "{{name}}")]),
            timeseries("Threads", "A number that grows without end is a leak.",
                       [("moesaic_process_threads", "{{name}}")]),
            timeseries("Uptime", "A fall is a restart.", [("time() - moesaic_start_time_seconds", "{{name}}")], "s",
                       see="alerts.md#processdown")]),
        ("Nodes", [
            timeseries("Nodes in use", "In shares of nodes, by type.",
                       [("sum by (node_type, capacity_type) (moesaic_nodes)", "{{node_type}} {{capacity_type}}")],
                       width=12, stacked=True),
            table("What runs", "Versions should be one, but for the minutes of an update; numerics must be one.",
                  [("max by (name, version, numerics_id, role) (moesaic_build_info)", "Runs", "none")], "name",
                  width=12)]),
    ])
