"""The Prometheus that `moesaic up` runs: it finds every process, as they come and go."""
import json
import os
import signal

import httpx
import pytest

from cluster import Cluster, run, wait_until
from golden import checkpoint


def targets(cluster):
    """Health by name, of what Prometheus scrapes now; empty while it starts."""
    answer = httpx.get(cluster.state()["prometheus"] + "/api/v1/targets")
    if answer.status_code == 503:
        return {}
    return {target["labels"]["name"]: target["health"] for target in answer.json()["data"]["activeTargets"]}


def all_up(cluster, names):
    try:
        return targets(cluster) == {name: "up" for name in names}
    except httpx.TransportError:  # it has not opened its port yet
        return False


def test_it_follows_the_processes():
    with Cluster(checkpoint("olmoe"), shards=2, prometheus="auto", scrape_interval_s=0.2,
                 restart_delay=0.2) as cluster:
        assert f"Prometheus  {cluster.state()['prometheus']}" in cluster.up_log()
        names = ["coordinator", "router-1", "shard-1", "shard-2"]
        wait_until(lambda: all_up(cluster, names), 30, "all scraped")
        rules = httpx.get(cluster.state()["prometheus"] + "/api/v1/rules").json()["data"]["groups"]
        assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}

        scaled = run("scale", 3, "--state-dir", cluster.state_dir)
        assert scaled.returncode == 0, scaled.stderr
        wait_until(lambda: all_up(cluster, [*names, "shard-3"]), 30, "the new shard scraped")
        scaled = run("scale", 1, "--state-dir", cluster.state_dir)
        assert scaled.returncode == 0, scaled.stderr
        names = ["coordinator", "router-1", "shard-1"]
        wait_until(lambda: all_up(cluster, names), 30, "the old ones forgotten")

        os.kill(cluster.child("shard-1")["pid"], signal.SIGKILL)
        os.kill(cluster.child("prometheus")["pid"], signal.SIGKILL)
        wait_until(lambda: "starting prometheus again" in cluster.up_log(), 30, "a new Prometheus")
        wait_until(lambda: all_up(cluster, names), 60, "all scraped again, at the same addresses")
        labels = json.loads((cluster.state_dir / "prometheus/targets.json").read_text("utf-8"))
        assert [entry["labels"]["role"] for entry in labels] == ["coordinator", "shard", "router"]
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


@pytest.mark.parametrize("flag,complaint", [
    ("--prometheus=/etc/passwd", "--prometheus: /etc/passwd is neither auto, off nor a program"),
    ("--share-dir=/nonexistent", "no folder /nonexistent/rules"),
])
def test_what_cannot_be_run_is_refused(tmp_path, flag, complaint):
    refused = run("up", f"--model={checkpoint('olmoe')}", f"--state-dir={tmp_path}", "--http-port=0",
                  "--prometheus=auto", flag)
    assert refused.returncode != 0 and complaint in refused.stderr
