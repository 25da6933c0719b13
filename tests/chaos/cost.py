#!/usr/bin/env python3
"""Three tenants with different load on a live cluster, and whether their costs and the idle time add
up to what the nodes cost: from the ledger's database alone, and against the wall clock. One tenant
sends exactly twice the work of another and has to pay twice as much.

    tests/chaos/cost.py --duration 600"""
import argparse
import concurrent.futures
import json
import pathlib
import random
import sqlite3
import sys
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "integration"))

from cluster import Cluster, run as moesaic  # noqa: E402

PRICES = ROOT / "monitoring" / "prices" / "example.json"
NODE_TYPE = "c7i.4xlarge"
SHARDS = 2
SMALL = {"prompt": "What is 3 + 4? " * 4, "max_tokens": 24}
LARGE = {"prompt": "Tom has 5 apples and gives 2 away. " * 12, "max_tokens": 60}
# What each tenant sends in a round, all of it at once.
ROUND = [("single", SMALL), ("double", SMALL), ("double", SMALL), ("other", LARGE)]


def ask(client, tenant, body):
    answer = client.post("/v1/completions", json={**body, "ignore_eos": True, "temperature": 0},
                         headers={"X-Moesaic-Tenant": tenant})
    assert answer.status_code == 200, answer.text


def send_load(url, duration_s, rng):
    """Rounds for so long; returns how many."""
    end = time.monotonic() + duration_s
    rounds = 0
    with httpx.Client(base_url=url, timeout=120) as client, \
            concurrent.futures.ThreadPoolExecutor(len(ROUND)) as pool:
        while time.monotonic() < end:
            requests = list(ROUND)
            rng.shuffle(requests)
            for done in [pool.submit(ask, client, *request) for request in requests]:
                done.result()
            rounds += 1
            time.sleep(rng.uniform(0, 0.1))
    return rounds


def run(duration_s, seed):
    """Returns the report; raises AssertionError when it does not add up."""
    rng = random.Random(seed)
    flags = {"price_list": PRICES, "price_class": NODE_TYPE, "prometheus": "off"}
    with Cluster(ROOT / "models" / "demo", shards=SHARDS, **flags) as cluster:
        started = time.time()
        rounds = send_load(cluster.url, duration_s, rng)
        time.sleep(1.5)  # the last reports of busy time
        wall_s = time.time() - started
        cluster.stop()  # the ledger is complete
        usage = moesaic("usage", "--state-dir", cluster.state_dir, "--format", "json", "--by",
                        "tenant", binaries=cluster.binaries)
        assert usage.returncode == 0, usage.stderr
        database = sqlite3.connect(cluster.state_dir / "ledger.db")
        alive_s, processes = database.execute(
            "SELECT SUM(alive_seconds), COUNT(DISTINCT process) FROM node_time").fetchone()
        by_process = database.execute(
            "SELECT process, SUM(alive_seconds), SUM(busy_seconds), SUM(cost) FROM node_time "
            "GROUP BY process").fetchall()
        database.close()
    report = json.loads(usage.stdout)
    assert len(report["totals"]) == 1, report["totals"]
    total = report["totals"][0]
    tenants = {line["tenant"]: line for line in report["lines"]}
    price = json.loads(PRICES.read_text())["node_types"][NODE_TYPE]["on_demand_per_hour"]
    # All processes of the one machine together carry its price.
    bill = price / 3600 * alive_s / processes
    result = {
        "seed": seed, "rounds": rounds, "wall_s": wall_s, "alive_s_each": alive_s / processes,
        "node_cost": total["node_cost"], "node_price_times_time": bill,
        "tenants": {name: line["direct_cost"] for name, line in tenants.items()},
        "requests": {name: line["requests"] for name, line in tenants.items()},
        "idle": total["idle_cost"],
        "difference": total["difference"] / total["node_cost"],
        "difference_of_used": total["difference"] / (total["node_cost"] - total["idle_cost"]),
        "twice": tenants["double"]["direct_cost"] / tenants["single"]["direct_cost"],
        "with_idle_share": sum(line["cost"] for line in report["lines"]),
        "busy_ratio": {name: busy / alive for name, alive, busy, _ in by_process},
    }
    assert processes == SHARDS + 2, by_process
    assert abs(total["node_cost"] / bill - 1) < 0.01, result
    # Every process is there for the whole load and a moment before and after it.
    # A process is on the bill from its registration on.
    assert wall_s - 1 <= alive_s / processes < wall_s + 15, result
    assert abs(result["difference"]) < 0.01, result
    assert abs(result["twice"] / 2 - 1) < 0.05, result
    assert abs(result["with_idle_share"] / total["node_cost"] - 1) < 0.01, result
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=600, help="seconds of load")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(json.dumps(run(options.duration, options.seed), indent=2))


if __name__ == "__main__":
    main()
