"""A running cluster grows and shrinks, and shards are drained, while answers stay the same."""
import os
import re
import signal

import httpx

from cluster import Cluster, run, wait_until
from golden import checkpoint

PROMPT = {"prompt": [5, 6, 7], "max_tokens": 24, "temperature": 0, "logprobs": 1}


def answer(cluster):
    return cluster.complete(**PROMPT)["choices"]


def serving(cluster):
    return sorted(shard["placed"]["shard"] for shard in cluster.status()["shards"]
                  if shard["state"] == "SERVING")


def desired(cluster):
    text = httpx.get(f"http://{cluster.child('coordinator')['http']}/metrics").text
    return int(re.search(r"^moesaic_desired_shards (\d+)$", text, re.M)[1])


def test_scale_up_and_down():
    with Cluster(checkpoint("olmoe"), shards=2) as cluster:
        state = ("--state-dir", cluster.state_dir)
        before = answer(cluster)
        scaled = run("scale", 4, *state)
        assert scaled.returncode == 0, scaled.stderr
        assert serving(cluster) == ["shard-1", "shard-2", "shard-3", "shard-4"]
        assert desired(cluster) == 4
        assert answer(cluster) == before
        scaled = run("scale", 1, *state)
        assert scaled.returncode == 0, scaled.stderr
        assert serving(cluster) == ["shard-1"]
        assert desired(cluster) == 1
        assert answer(cluster) == before
        names = [child["name"] for child in cluster.state()["children"]]
        assert sorted(names) == ["coordinator", "router-1", "shard-1"]
        assert run("scale", 0, *state).returncode == 2
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]
    refused = run("scale", 2, "--state-dir", "/nonexistent")
    assert refused.returncode == 1 and "no local cluster" in refused.stderr


def test_a_restarted_coordinator_knows_how_many_shards_are_wanted():
    with Cluster(checkpoint("olmoe"), shards=2, restart_delay=1) as cluster:
        assert desired(cluster) == 2
        state = ("--state-dir", cluster.state_dir)
        assert run("scale", 1, *state).returncode == 0
        before = cluster.child("coordinator")["pid"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: cluster.child("coordinator")["pid"] not in (0, before), 20, "restarted")
        wait_until(lambda: run("status", *state).returncode == 0, 20, "it answers")
        wait_until(lambda: serving(cluster) == ["shard-1"], 20, "the shard is back")
        assert desired(cluster) == 1
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def test_drain_moves_everything_and_says_why():
    with Cluster(checkpoint("olmoe"), shards=2) as cluster:
        state = ("--state-dir", cluster.state_dir)
        before = answer(cluster)
        dry = run("rebalance", "--dry-run", *state)
        assert dry.returncode == 0 and "expert time of a step" in dry.stdout
        assert run("drain", "nobody", *state).returncode == 1
        drained = run("drain", "shard-2", *state)
        assert drained.returncode == 0, drained.stderr
        shards = {shard["placed"]["shard"]: shard for shard in cluster.status()["shards"]}
        assert shards["shard-2"]["state"] == "DRAINING" and shards["shard-2"]["held_units"] == 0
        assert answer(cluster) == before
        why = run("status", "--why", *state).stdout
        assert "shard shard-2 is evacuated: asked for by an operator" in why


def test_an_evacuation_can_be_taken_back(olmoe):
    state = ("--state-dir", olmoe.state_dir)
    timed_out = run("drain", "shard-2", "--timeout-s", 0, *state)
    assert timed_out.returncode in (0, 1)  # it may be done by the first look
    if timed_out.returncode == 0:
        return
    assert "--cancel" in timed_out.stderr
    assert run("drain", "shard-2", "--cancel", *state).returncode == 0


def test_the_coordinator_exports_metrics(olmoe):
    coordinator = olmoe.child("coordinator")["http"]
    text = httpx.get(f"http://{coordinator}/metrics").text
    assert "moesaic_units_uncovered 0" in text
    assert "moesaic_units_sharing_node" in text
