"""Every query of every dashboard, asked of a real Prometheus that scraped a real cluster under load.

GPUs, a TLS certificate and an autoscaler are not here: their series come from a text that the test itself
serves (SYNTHETIC), so that for those panels only the query is tested, not whoever exports the series.
"""
import json
import os
import re
import signal
import threading
import time

import httpx
import pytest

from cluster import ROOT, Cluster, run, wait_until
from golden import checkpoint
from prometheus import Prometheus, exposition

DASHBOARDS = sorted((ROOT / "monitoring" / "dashboards").glob("*.json"))
SCRAPE_S = 1
RATE_S = 15

SYNTHETIC = """
moesaic_gpu_utilization_ratio{{gpu="0"}} 0.7
moesaic_gpu_memory_used_bytes{{gpu="0"}} 3e9
moesaic_gpu_memory_total_bytes{{gpu="0"}} 8e9
moesaic_gpu_power_watts{{gpu="0"}} 200
moesaic_gpu_energy_joules_total{{gpu="0"}} {joules}
moesaic_gpu_temperature_celsius{{gpu="0"}} 60
moesaic_gpu_ecc_errors_total{{gpu="0"}} 0
kube_horizontalpodautoscaler_status_desired_replicas{{horizontalpodautoscaler="keda-hpa-moesaic-shard",namespace="moe"}} 4
kube_horizontalpodautoscaler_status_current_replicas{{horizontalpodautoscaler="keda-hpa-moesaic-shard",namespace="moe"}} 4
kube_horizontalpodautoscaler_spec_max_replicas{{horizontalpodautoscaler="keda-hpa-moesaic-shard",namespace="moe"}} 9
kube_pod_status_phase{{phase="Pending",pod="moesaic-shard-0",namespace="moe"}} 0
keda_scaler_detail_errors_total{{namespace="moe",scaledObject="moesaic-shard"}} 0
"""


class Load:
    """Three tenants, and one who sends nonsense and one who leaves, until it is stopped."""

    def __init__(self, url):
        self.url = url
        self.stopping = threading.Event()
        self.answers = {}
        self.threads = [threading.Thread(target=self._run, args=(tenant,)) for tenant in ("a", "b", "c", "wrong", "leaves")]

    def _run(self, tenant):
        with httpx.Client(base_url=self.url, timeout=60, headers={"X-Moesaic-Tenant": tenant}) as client:
            while not self.stopping.is_set():
                self.answers[tenant] = self.answers.get(tenant, 0) + 1
                try:
                    self._send(client, tenant)
                except httpx.TransportError:
                    pass
                self.stopping.wait(0.02)

    def _send(self, client, tenant):
        body = {"prompt": list(range(5, 45)), "max_tokens": 16, "temperature": 0, "ignore_eos": True}
        if tenant == "wrong":
            body["max_tokens"] = -1
            self.stopping.wait(0.2)
        if tenant == "leaves":
            with client.stream("POST", "/v1/completions", json={**body, "max_tokens": 500, "stream": True}) as answer:
                next(answer.iter_lines())
            self.stopping.wait(0.2)
        else:
            client.post("/v1/completions", json=body)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="module")
def loaded():
    """A Prometheus that has seen 4 shards, a load, a shard killed, and new placements; and since when."""
    flags = {"prometheus": "auto", "scrape_interval_s": SCRAPE_S, "replicas": 2, "restart_delay": 3, "lease_s": 1.5,
             "heartbeat_s": 0.5, "max_num_seqs": 3, "price_list": ROOT / "monitoring" / "prices" / "example.json",
             "price_class": "c7i.4xlarge", "capacity_type": "spot", "rebalance_interval_s": 5,
             "budget_per_month": 500}
    with Cluster(checkpoint("olmoe"), shards=4, **flags) as cluster:
        prometheus = Prometheus(cluster)
        started = time.time()

        def text():
            return SYNTHETIC.format(joules=200 * (time.time() - started))

        with exposition(cluster, text, role="shard", name="synthetic"), Load(cluster.url) as load:
            wait_until(lambda: prometheus.value(f'sum(count_over_time(up[{RATE_S}s]))') or 0, 60, "scraped")
            for name in ("shard-2", "shard-3"):  # silent for longer than a lease, then back
                time.sleep(6)
                os.kill(cluster.child(name)["pid"], signal.SIGKILL)
            wait_until(lambda: [shard["state"] for shard in cluster.status()["shards"]] == ["SERVING"] * 4, 60, "all back")
            scaled = run("scale", 5, "--state-dir", cluster.state_dir)
            assert scaled.returncode == 0, scaled.stderr
            time.sleep(RATE_S)
            assert min(load.answers.values()) > 3
            yield prometheus, started
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def substituted(query):
    for variable, value in (("$__rate_interval", f"{RATE_S}s"), ("$cluster", "local"), ("$shard", ".*")):
        query = query.replace(variable, value)
    assert "$" not in query.replace('"$', ""), query
    return query


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data(loaded, path):
    prometheus, started = loaded
    board = json.loads(path.read_text("utf-8"))
    empty = []
    for panel in panels(board):
        for target in panel["targets"]:
            query = substituted(target["expr"])
            found = prometheus.series(query, started, time.time(), 1)
            print(f"{path.stem:11} {panel['title']:34} {target['refId']} {found:4} series")
            if not found:
                empty.append((panel["title"], target["refId"], query))
    for annotation in board["annotations"]["list"]:
        assert prometheus.series(substituted(annotation["expr"]), started, time.time(), 1), annotation["name"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            label_values = re.fullmatch(r"label_values\((.*), (\w+)\)", substituted(variable["query"]))
            found = prometheus.get(f"label/{label_values[2]}/values", **{"match[]": label_values[1]})
            assert found, variable["name"]
    assert not empty, "\n".join(map(str, empty))
