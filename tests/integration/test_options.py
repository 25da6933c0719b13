"""Options that change how a cluster works, and limits that it keeps."""
import concurrent.futures
import os
import signal
import subprocess

import numpy
import pytest

from cluster import BIN, Cluster, run, wait_until
from golden import Golden, checkpoint


def prompt_logprobs(cluster, ids):
    answer = cluster.complete(prompt=ids, echo=True, logprobs=1, max_tokens=0)
    return numpy.array(answer["choices"][0]["logprobs"]["token_logprobs"][1:])


@pytest.mark.parametrize("flags, tolerance", [
    (dict(compute_dtype="f32", unit_size=4), 1e-4),
    (dict(compute_dtype="f32", unit_size=5), 1e-4),  # the last unit of a layer is smaller
    (dict(compute_dtype="f32", replicas=2, nodes=2), 1e-4),
    (dict(compute_dtype="f32", wire_dtype="bf16"), 0.5),
    (dict(wire_dtype="fp8"), 1.0),
    (dict(weight_dtype="int8"), 2.0),  # gates of random weights are nearly tied
    (dict(weight_dtype="int8", compute_dtype="f32"), 2.0),
])
def test_the_answer_is_the_models_under_every_option(flags, tolerance):
    golden = Golden("deepseek_v3")
    with Cluster(checkpoint("deepseek_v3"), shards=3, **flags) as cluster:
        error = numpy.abs(prompt_logprobs(cluster, golden.ids("p2")) - golden.logprobs("p2"))
        assert error.max() <= tolerance
        if flags.get("replicas") == 2:
            status = cluster.status()
            assert status["units_below_replicas"] == 0 and status["replicas_wanted"] == 2


def test_an_advertised_router_is_known_by_that_address(tmp_path):
    with Cluster(checkpoint("olmoe"), shards=1) as cluster:
        coordinator = cluster.child("coordinator")["grpc"]
        with open(tmp_path / "log", "w", encoding="utf-8") as log:
            router = subprocess.Popen(
                [BIN / "moesaic-router", f"--model={checkpoint('olmoe')}", "--name=outside",
                 f"--coordinator={coordinator}", "--http-listen=0.0.0.0:0", "--insecure",
                 "--advertise=router.example:80"], stdout=log, stderr=log)
        try:
            known = wait_until(lambda: [r for r in cluster.status()["routers"]
                                        if r["router"] == "outside"], 60, "it came")
            assert known[0]["registration"]["http_address"] == "router.example:80"
        finally:
            router.kill()
            router.wait()


def test_a_full_queue_is_429_with_retry_after():
    with Cluster(checkpoint("olmoe"), shards=1, max_num_seqs=1, max_queue=1) as cluster:
        body = {"prompt": [5], "max_tokens": 400, "ignore_eos": True}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: cluster.http.post("/v1/completions", json=body), range(8)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 200 and codes[-1] == 429 and set(codes) == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"]
        cluster.assert_alive()


def test_what_can_never_fit_the_cache_is_400():
    # 3 layers x 2 x 96 values of 2 bytes a token: room for 64 tokens.
    with Cluster(checkpoint("olmoe"), shards=1, kv_cache_bytes=3 * 2 * 96 * 2 * 64) as cluster:
        response = cluster.http.post("/v1/completions", json={"prompt": [5] * 60, "max_tokens": 30})
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "context_length_exceeded"
        assert cluster.complete(prompt=[5] * 30, max_tokens=30, ignore_eos=True)["usage"][
            "completion_tokens"] == 30


def test_a_request_times_out():
    with Cluster(checkpoint("olmoe"), shards=1) as cluster:
        response = cluster.http.post("/v1/completions", headers={"X-Request-Timeout-Ms": "100"},
                                     json={"prompt": [5], "max_tokens": 4000, "ignore_eos": True})
        assert response.status_code == 504 and response.json()["error"]["message"]
        cluster.assert_alive()


def test_a_lost_unit_is_waited_for():
    """The only holder of some units dies in the middle of an answer: it comes back, the answer goes
    on, and it is the same answer."""
    body = {"prompt": [5, 6, 7], "max_tokens": 600, "temperature": 0, "ignore_eos": True}
    with Cluster(checkpoint("olmoe"), shards=2, restart_delay=0.5) as cluster:
        undisturbed = cluster.complete(**body)["choices"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(cluster.complete, **body)
            os.kill(cluster.child("shard-2")["pid"], signal.SIGKILL)
            assert answer.result()["choices"] == undisturbed
        wait_until(lambda: cluster.child("shard-2")["pid"] != 0, 60, "shard-2 back")
        cluster.pids = [child["pid"] for child in cluster.state()["children"]]


def test_a_model_that_does_not_fit_says_so(tmp_path):
    done = run("up", f"--model={checkpoint('olmoe')}", "--shards=1", "--http-port=0",
               f"--state-dir={tmp_path}", "--memory-bytes=100000", "--start-timeout=5")
    assert done.returncode == 1 and "memory" in done.stderr
