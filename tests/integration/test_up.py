"""`moesaic up` and the other commands, as a person at a terminal meets them."""
import os
import signal
import socket
import time
from urllib.parse import urlsplit

import httpx

from cluster import Cluster, alive, run, wait_until
from golden import checkpoint


def test_a_killed_child_comes_back_on_its_port():
    with Cluster(checkpoint("olmoe"), shards=2, compute_dtype="f32", restart_delay=0.2) as cluster:
        before = cluster.complete(prompt=[5, 6, 7], max_tokens=4, temperature=0)["choices"]
        for name in ("shard-1", "coordinator", "router-1"):
            child = cluster.child(name)
            os.kill(child["pid"], signal.SIGKILL)
            wait_until(lambda: cluster.child(name)["pid"] not in (0, child["pid"]), 60, f"new {name}")
            assert cluster.child(name)["grpc"] == child["grpc"]
            assert f"{name} ended with signal 9" in cluster.up_log()
            wait_until(lambda: healthy(cluster), 60, f"healthy after {name} died")
            after = cluster.complete(prompt=[5, 6, 7], max_tokens=4, temperature=0)["choices"]
            assert after == before
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def healthy(cluster):
    try:
        return cluster.http.get("/health").status_code == 200
    except Exception:  # the router may be the one that is down
        return False


def test_no_orphan_is_left_whatever_ends_it():
    for stop_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        cluster = Cluster(checkpoint("olmoe"), shards=1)
        cluster.__enter__()
        code = cluster.stop(stop_signal)
        assert code == (0 if stop_signal != signal.SIGKILL else -signal.SIGKILL)
        wait_until(lambda: not any(alive(pid) for pid in cluster.pids), 60, "no orphan left")


def test_health_and_live(olmoe):
    assert olmoe.http.get("/live").status_code == 200
    assert olmoe.http.get("/health").status_code == 200
    assert "moesaic" in olmoe.http.get("/version").json()["version"]


def test_every_process_serves_its_metrics(olmoe):
    for child in olmoe.state()["children"]:
        text = httpx.get(f"http://{child['http']}/metrics").text
        assert "# HELP moesaic_" in text, child["name"]


def test_processes_share_the_price_of_their_machine():
    with Cluster(checkpoint("olmoe"), shards=2, price_class="desk", capacity_type="spot") as cluster:
        wait_until(lambda: cluster.status().get("routers"), 30, "a router follows placements")
        status = cluster.status()
        of_router = status["routers"][0]["registration"]
        nodes = [shard["placed"] for shard in status["shards"]] + [of_router]
        assert [node["price_class"] for node in nodes] == ["desk"] * 3
        assert [node["capacity_type"] for node in nodes] == ["spot"] * 3
        assert [node["node_share"] for node in nodes] == [0.25] * 3
        assert of_router["http_address"] == cluster.url.removeprefix("http://")


def test_health_follows_the_shards():
    with Cluster(checkpoint("olmoe"), shards=1, restart_delay=2) as cluster:
        os.kill(cluster.child("shard-1")["pid"], signal.SIGKILL)
        wait_until(lambda: cluster.http.get("/health").status_code == 503, 30, "not healthy")
        assert cluster.http.get("/live").status_code == 200
        wait_until(lambda: cluster.http.get("/health").status_code == 200, 60, "healthy again")
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def test_status(olmoe):
    olmoe.complete(prompt="work", max_tokens=2)
    status = olmoe.status()
    assert sorted(shard["placed"]["shard"] for shard in status["shards"]) == ["shard-1", "shard-2"]
    assert status["units_uncovered"] == 0
    table = run("status", "--state-dir", olmoe.state_dir).stdout
    assert "shard-1" in table and "shard-2" in table
    assert run("status", "--state-dir", "/nonexistent").returncode == 1


def test_inspect_complete_and_chat(olmoe):
    inspected = run("inspect", checkpoint("deepseek_v3"))
    assert inspected.returncode == 0 and "16" in inspected.stdout
    state = ("--state-dir", olmoe.state_dir)
    completed = run("complete", "Hello", "--max-tokens", 4, "--temperature", 0, *state)
    assert completed.returncode == 0
    chat = run("chat", "Hello", "--max-tokens", 4, "--temperature", 0, *state)
    assert chat.returncode == 0
    assert run("chat", "Hello", "--url", "http://127.0.0.1:1").returncode == 1
    assert run("inspect", "/nonexistent").returncode == 1


def test_tokenize_round_trip(olmoe):
    tokens = olmoe.http.post("/tokenize", json={"prompt": "Hé!"}).json()["tokens"]
    answer = olmoe.http.post("/detokenize", json={"tokens": tokens}).json()
    assert answer["prompt"].endswith("Hé!")


def test_a_client_that_leaves_frees_its_request(olmoe):
    address = urlsplit(olmoe.url)
    body = b'{"prompt": [5], "max_tokens": 4000, "stream": true, "ignore_eos": true}'
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                           b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.recv(4096)
        wait_until(lambda: running(olmoe) == 1, 10, "the request runs")  # counted after its step
    start = time.monotonic()
    wait_until(lambda: running(olmoe) == 0, 10, "request freed")
    assert time.monotonic() - start < 5


def running(cluster):
    for line in cluster.http.get("/metrics").text.splitlines():
        if line.startswith("moesaic_running_generations"):
            return float(line.split()[-1])
    raise AssertionError("no moesaic_running_generations metric")
