"""Degraded mode: a shard is gone for good, and no other holds its units."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import grpc

import stubs
from cluster import Cluster, wait_until
from golden import checkpoint

# Nobody restarts the shard, and the coordinator does not give its units to another.
FLAGS = dict(compute_dtype="f32", restart_delay=3600, lease_s=3600, emergency_after_s=3600)
BODY = {"prompt": [5, 6, 7, 8], "max_tokens": 16, "temperature": 0, "ignore_eos": True, "logprobs": 2,
        "return_token_ids": True}


def command_of(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0").split("\0")


def kill(cluster, name):
    """Kills a child for good; returns the command that starts it again on its port."""
    child = cluster.child(name)
    command = [argument for argument in command_of(child["pid"])
               if not argument.startswith("--listen=")]
    os.kill(child["pid"], signal.SIGKILL)
    wait_until(lambda: metric(cluster, "moesaic_ready_shards") == 1, 30, "the router has seen it")
    cluster.pids.remove(child["pid"])
    return [*command, "--listen=" + child["grpc"]]


@contextlib.contextmanager
def running(cluster, command):
    """Runs a shard until it is ended, from when the router has it on."""
    with open(cluster.state_dir / "logs" / "again.log", "w", encoding="utf-8") as log:
        shard = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: metric(cluster, "moesaic_ready_shards") == 2, 60, "the shard is back")
        yield
    finally:
        shard.terminate()
        shard.wait(timeout=60)


def metric(cluster, name):
    lines = [line for line in cluster.http.get("/metrics").text.splitlines()
             if line.startswith(name + " ")]
    return float(lines[0].split()[-1])


def choices(answer):
    return json.dumps(answer["choices"])


def test_off_by_default_a_lost_unit_is_waited_for():
    with Cluster(checkpoint("deepseek_v3"), shards=2, **FLAGS) as cluster:
        undisturbed = cluster.complete(**BODY)
        assert "degraded" not in json.dumps(undisturbed)
        command = kill(cluster, "shard-2")
        assert cluster.http.get("/health").status_code == 503
        late = cluster.http.post("/v1/completions", json=BODY,
                                 headers={"X-Request-Timeout-Ms": "1500"})
        assert late.status_code in (503, 504), late.text
        assert "x-moesaic-degraded" not in late.headers
        assert metric(cluster, "moesaic_degraded_units_total") == 0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(cluster.complete, **BODY)
            wait_until(lambda: metric(cluster, "moesaic_waiting_units") > 0, 30, "it waits")
            with running(cluster, command):
                assert choices(waiting.result()) == choices(undisturbed)
                assert metric(cluster, "moesaic_degraded_tokens_total") == 0


def test_renormalize_answers_and_says_so():
    flags = dict(FLAGS, degraded="renormalize", degraded_after_ms=300)
    with Cluster(checkpoint("deepseek_v3"), shards=2, **flags) as cluster:
        undisturbed = cluster.complete(**BODY)
        assert undisturbed["choices"][0]["degraded_tokens"] == 0
        command = kill(cluster, "shard-2")

        response = cluster.http.post("/v1/completions", json=BODY)
        assert response.status_code == 200, response.text
        assert response.headers["x-moesaic-degraded"] == "renormalize"
        choice = response.json()["choices"][0]
        # Every position but the last has been computed, and some experts of most were on that shard.
        positions = len(BODY["prompt"]) + BODY["max_tokens"] - 1
        assert 0 < choice["degraded_tokens"] <= positions
        assert choice["logprobs"] != undisturbed["choices"][0]["logprobs"]
        assert len(choice["token_ids"]) == BODY["max_tokens"]
        assert metric(cluster, "moesaic_degraded_tokens_total") == choice["degraded_tokens"]
        assert metric(cluster, "moesaic_degraded_units_total") >= choice["degraded_tokens"]
        assert cluster.http.get("/health").status_code == 200
        assert streamed(cluster) == choice["degraded_tokens"]
        assert over_grpc(cluster) == choice["degraded_tokens"]

        with running(cluster, command):
            before = metric(cluster, "moesaic_degraded_tokens_total")
            assert choices(cluster.complete(**BODY)) == choices(undisturbed)
            assert metric(cluster, "moesaic_degraded_tokens_total") == before


def streamed(cluster):
    """degraded_tokens of the same answer as a stream, from its last chunk."""
    with cluster.http.stream("POST", "/v1/completions", json=dict(BODY, stream=True)) as response:
        assert response.headers["x-moesaic-degraded"] == "renormalize"
        chunks = [json.loads(line[6:]) for line in response.iter_lines()
                  if line.startswith("data: {")]
    counts = [chunk["choices"][0].get("degraded_tokens") for chunk in chunks]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert counts[:-1] == [None] * (len(counts) - 1)
    return counts[-1]


def over_grpc(cluster):
    """degraded_tokens of the same answer over gRPC."""
    request = stubs.inference.GenerateRequest(
        prompt_token_ids=stubs.inference.TokenIds(ids=BODY["prompt"]), max_tokens=BODY["max_tokens"],
        ignore_eos=True, sampling=stubs.inference.SamplingParams(temperature=0))
    with grpc.insecure_channel(cluster.child("router-1")["grpc"]) as channel:
        call = stubs.inference_grpc.InferenceStub(channel).Generate(request)
        assert ("x-moesaic-degraded", "renormalize") in [tuple(entry)
                                                         for entry in call.initial_metadata()]
        return list(call)[-1].degraded_tokens


def test_an_answer_in_progress_goes_on_without_the_lost_experts():
    flags = dict(FLAGS, degraded="renormalize", degraded_after_ms=100)
    body = dict(BODY, max_tokens=1500)
    with Cluster(checkpoint("deepseek_v3"), shards=2, **flags) as cluster:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(cluster.complete, **body)
            wait_until(lambda: metric(cluster, "moesaic_running_generations") == 1, 30, "it runs")
            kill(cluster, "shard-2")
            choice = answer.result()["choices"][0]
        assert len(choice["token_ids"]) == body["max_tokens"]
        assert 0 < choice["degraded_tokens"] < len(BODY["prompt"]) + body["max_tokens"]
