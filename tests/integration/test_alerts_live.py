"""Alerts that fire for real: a cluster is hurt, and its own Prometheus says so.

The rules are the shipped ones with one change, made on a copy: `for:` and the windows of minutes become
seconds (SHORTER), so that the test takes half a minute and not half an hour. Expressions, thresholds, labels
and texts stay. promtool's tests cover the real durations.
"""
import os
import re
import signal
import threading
import time

import httpx
import pytest
import yaml

from cluster import ROOT, Cluster, run, wait_until
from golden import checkpoint
from prometheus import Prometheus, exposition

SHORTER = {"5m": "5s", "10m": "2s", "2m": "2s", "30s": "1s"}
SHARE = ROOT / "monitoring"


def shortened(text):
    """The rules with short `for:` and short windows."""
    groups = yaml.safe_load(text)
    for group in groups["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = SHORTER.get(rule["for"], rule["for"])
            rule["expr"] = re.sub(r"\[(5m|10m)\]", "[5s]", rule["expr"])
    return yaml.safe_dump(groups, sort_keys=False)


@pytest.fixture(scope="module")
def share_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share")
    (folder / "rules").mkdir()
    for path in (SHARE / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(shortened(path.read_text("utf-8")), encoding="utf-8")
    for path in SHARE.iterdir():
        if path.name != "rules":
            (folder / path.name).symlink_to(path)
    return folder


def fired(cluster, name, timeout_s=30):
    """The alert, once it fires; its texts were filled in."""
    prometheus = Prometheus(cluster)
    alert = wait_until(lambda: prometheus.firing().get(name), timeout_s, f"{name} fires")
    print(f"{name}: {alert['annotations']['summary']}")
    assert "no value" not in str(alert["annotations"]) and "error" not in str(alert["annotations"]).lower()
    assert alert["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"
    return alert


def silent(cluster, name):
    return name not in Prometheus(cluster).firing()


def test_a_killed_shard(share_dir):
    """The only one, and it is not started again at once: its units are uncovered."""
    with Cluster(checkpoint("olmoe"), shards=1, prometheus="auto", scrape_interval_s=0.5, share_dir=share_dir,
                 restart_delay=8, lease_s=1, heartbeat_s=0.2) as cluster:
        wait_until(lambda: Prometheus(cluster).value("max(moesaic_units_uncovered)") == 0, 30, "covered and scraped")
        assert silent(cluster, "ExpertUncovered")
        os.kill(cluster.child("shard-1")["pid"], signal.SIGKILL)
        alert = fired(cluster, "ExpertUncovered")
        assert alert["labels"]["severity"] == "critical" and float(alert["value"]) > 0
        wait_until(lambda: silent(cluster, "ExpertUncovered"), 60, "over, once the shard is back")
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def test_a_long_queue(share_dir):
    """One generation at a time, and a crowd: the wait passes 5 s."""
    with Cluster(checkpoint("olmoe"), shards=1, prometheus="auto", scrape_interval_s=0.5, share_dir=share_dir,
                 max_num_seqs=1) as cluster:
        wait_until(lambda: Prometheus(cluster).value("sum(moesaic_queue_length)") == 0, 30, "scraped")
        assert silent(cluster, "QueueWaitHigh")
        stop = threading.Event()

        def ask():
            body = {"prompt": [5, 6, 7], "max_tokens": 3000, "ignore_eos": True, "stream": True}
            with httpx.Client(base_url=cluster.url, timeout=300) as client:
                while not stop.is_set():
                    with client.stream("POST", "/v1/completions", json=body) as answer:
                        for _ in answer.iter_lines():
                            if stop.is_set():
                                return

        crowd = [threading.Thread(target=ask) for _ in range(12)]
        for thread in crowd:
            thread.start()
        try:
            fired(cluster, "QueueWaitHigh", 60)
        finally:
            stop.set()
            for thread in crowd:
                thread.join()


def test_imbalance(share_dir):
    """Three shards join one that has all the experts, and may load next to nothing: it goes on doing all the work."""
    with Cluster(checkpoint("olmoe"), shards=1, prometheus="auto", scrape_interval_s=0.5, share_dir=share_dir,
                 move_bytes_per_s=1, heartbeat_s=0.2) as cluster:
        prometheus = Prometheus(cluster)
        run("scale", 4, "--timeout-s", 0, "--state-dir", cluster.state_dir)
        wait_until(lambda: prometheus.value("max(moesaic_registered_shards)") == 4, 30, "scraped")
        assert "ExpertImbalance" not in prometheus.firing()
        until = time.monotonic() + 30
        while "ExpertImbalance" not in prometheus.firing() and time.monotonic() < until:
            cluster.complete(prompt=list(range(5, 35)), max_tokens=8, temperature=0)
        assert float(fired(cluster, "ExpertImbalance", 1)["value"]) > 2
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]
