"""`moesaic bench` against a cluster, and against servers that misbehave."""
import contextlib
import json
import os
import signal
import socketserver
import subprocess
import threading
import time
import xml.etree.ElementTree

import golden
import pytest
from cluster import BIN, Cluster, run, wait_until

SHORT = ("--prompt-tokens=uniform:4-12", "--output-tokens=6", "--warmup=1")


def bench(url, *arguments, timeout_s=120):
    return run("bench", "--url", url, *SHORT, *arguments, timeout_s=timeout_s)


def report(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_sweep_of_closed_loops_with_profile_and_plot(olmoe, tmp_path):
    before = olmoe.http.get("/metrics").text
    done = bench(olmoe.url, "--concurrency=1,4", "--requests=12", "--profile",
                 f"--json={tmp_path / 'report.json'}", f"--plot={tmp_path / 'plot.svg'}")
    assert done.returncode == 0, done.stderr
    for part in ("1 client", "4 clients", "first token", "between chunks", "end to end", "tokens out/s",
                 "generator", "attention", "expert", "idle"):
        assert part in done.stdout, part
    written = report(tmp_path / "report.json")
    assert written["model"] == "olmoe" and written["prompt_form"] == "ids"
    assert [stage["concurrency"] for stage in written["stages"]] == [1, 4]
    for stage in written["stages"]:
        assert stage["requests_ok"] == 12 and stage["requests_failed"] == 0
        assert stage["output_tokens"] == 72 and 48 <= stage["prompt_tokens"] <= 144
        assert stage["answers_without_usage"] == 0 and stage["cached_prompt_tokens"] == 0
        latencies = stage["end_to_end_s"]
        assert 0 < latencies["p50"] <= latencies["p90"] <= latencies["p99"] <= latencies["max"] * 1.001
        assert stage["time_to_first_token_s"]["p50"] <= latencies["p50"]
        assert 0 < stage["generator_cpu_s"] < stage["duration_s"]
    assert before != olmoe.http.get("/metrics").text
    xml.etree.ElementTree.parse(tmp_path / "plot.svg")


def test_a_profile_adds_up_to_the_wall_time(olmoe, tmp_path):
    done = bench(olmoe.url, "--concurrency=2", "--requests=16", "--profile",
                 f"--json={tmp_path / 'report.json'}")
    assert done.returncode == 0, done.stderr
    stage = report(tmp_path / "report.json")["stages"][0]
    profile = stage["profile"]
    steps = profile["steps"]
    total = sum(kind["total_s"] for kind in steps.values())
    assert total + profile["idle_s"] == pytest.approx(profile["wall_s"], rel=0.02)
    assert profile["wall_s"] == pytest.approx(stage["duration_s"], rel=0.2, abs=0.2)
    # A row for each token that was computed: all prompts, all answers but their last tokens.
    rows = sum(kind["rows"] for kind in steps.values())
    assert rows == stage["prompt_tokens"] + stage["output_tokens"] - stage["requests_ok"]
    assert steps["decode"]["steps"] > steps["prefill"]["steps"] > 0
    for kind in steps.values():
        phases = kind["phases_s"]
        assert sum(phases.values()) == pytest.approx(kind["total_s"])
        for phase in ("attention", "gate", "pack", "wire", "expert", "combine", "head", "sample",
                      "other"):
            assert phases[phase] > 0, phase


def test_open_loop_in_bursts(olmoe, tmp_path):
    done = bench(olmoe.url, "--rate=40", "--burst=4", "--requests=24",
                 f"--json={tmp_path / 'report.json'}")
    assert done.returncode == 0, done.stderr
    stage = report(tmp_path / "report.json")["stages"][0]
    assert (stage["mode"], stage["rate"], stage["burst"]) == ("open", 40, 4)
    assert stage["requests_ok"] == 24 and stage["sent_late_s"]["count"] == 24


def test_duration_and_chat_in_words(olmoe, tmp_path):
    done = run("bench", "--url", olmoe.url + "/v1", "--endpoint=chat", "--duration-s=1",
               "--concurrency=2", "--prompt-tokens=60", "--output-tokens=6",
               f"--json={tmp_path / 'report.json'}")
    assert done.returncode == 0, done.stderr
    written = report(tmp_path / "report.json")
    stage = written["stages"][0]
    assert written["endpoint"] == "chat" and written["prompt_form"] == "text"
    assert stage["requests_ok"] > 0 and stage["duration_s"] > 1
    # As near as words let it come.
    assert 45 <= stage["prompt_tokens"] / stage["requests_ok"] <= 75


def test_equal_seeds_ask_for_the_same(olmoe, tmp_path):
    tokens = []
    for seed in (1, 1, 2):
        done = bench(olmoe.url, "--requests=8", f"--seed={seed}", f"--json={tmp_path / 'report.json'}")
        assert done.returncode == 0, done.stderr
        tokens.append(report(tmp_path / "report.json")["stages"][0]["prompt_tokens"])
    assert tokens[0] == tokens[1] != tokens[2]


def test_a_shared_prefix_is_found_in_the_cache(olmoe, tmp_path):
    done = run("bench", "--url", olmoe.url, "--prompt-tokens=80", "--shared-prefix=64", "--requests=6",
               "--concurrency=1", "--output-tokens=2", "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    cached = report(tmp_path / "report.json")["stages"][0]["cached_prompt_tokens"]
    assert ("prefix cache" in done.stdout) == (cached > 0)


def test_interrupted_it_prints_what_it_has(olmoe, tmp_path):
    process = subprocess.Popen([BIN / "moesaic", "bench", "--url", olmoe.url, *SHORT,
                                "--duration-s=600", "--json", tmp_path / "report.json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("moesaic bench: 8 clients")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "interrupted with" in output and "first token" in output
    stage = report(tmp_path / "report.json")["stages"][0]
    assert stage["interrupted"] and stage["requests_ok"] > 0 and stage["duration_s"] < 60


def test_usage_errors(olmoe):
    for arguments in (("--concurrency=1", "--rate=1"), ("--burst=2",), ("--prompt-tokens=x",),
                      ("--concurrency=0",), ("--token-ids=9-3",), ("--endpoint=embeddings",)):
        done = run("bench", "--url", olmoe.url, *arguments)
        assert done.returncode == 2, arguments
        assert done.stderr, arguments


def test_files_that_cannot_be_written(olmoe):
    done = bench(olmoe.url, "--requests=1", "--json=/nowhere/report.json")
    assert done.returncode == 1 and "/nowhere/report.json" in done.stderr
    assert "first token" in done.stdout, "what was measured is not lost"


CHUNK = b'data: {"choices":[{"text":"a"}]}\n\n'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WHOLE = (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n'
         b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":3}}')


def error(status):
    return (b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
            b'{"error":{"message":"no luck"}}' % status)


@contextlib.contextmanager
def server(answer):
    """Something on a port: lists a model, answers probes, and streams `answer`; yields its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                path = self.rfile.readline()
                length = 0
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = self.rfile.read(length)
                if b"/models" in path:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                     b'{"data":[{"id":"stub"}]}')
                elif b"/metrics" in path:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nup 1\n")
                else:
                    self.wfile.write(answer if b'"stream":true' in body else WHOLE)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


@pytest.mark.parametrize("answer,kind", [
    (error(429), "http_429"), (error(500), "http_500"),
    (b"garbage\r\n\r\n", "bad_answer"), (b"", "broke_off"), (WHOLE, "bad_answer"),
    (STREAM + CHUNK, "broke_off"), (STREAM + b"data: [DONE]\n\n", "empty"),
    (STREAM + b"data: {\n\ndata: [DONE]\n\n", "bad_answer"),
    (STREAM + CHUNK + b'data: {"error":{"message":"lost"}}\n\n', "error_in_stream"),
    (STREAM + b"data: " + b"x" * (17 << 20), "too_long"),
    (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20000, "bad_answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9000000, "too_long"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_bad_answers_are_counted(answer, kind, tmp_path):
    with server(answer) as url:
        done = bench(url, "--requests=3", "--concurrency=2", f"--json={tmp_path / 'report.json'}")
    assert done.returncode == 1, done.stderr
    assert "no request succeeded" in done.stderr and kind in done.stdout
    stage = report(tmp_path / "report.json")["stages"][0]
    assert stage["requests_failed"] == 3
    assert {name: failure["count"] for name, failure in stage["failures"].items()} == {kind: 3}
    assert stage["time_to_first_token_s"]["p50"] is None


def test_a_stream_without_usage_is_counted_by_chunks(tmp_path):
    with server(STREAM + 3 * CHUNK + b"data: [DONE]\n\n") as url:
        done = bench(url, "--requests=2", f"--json={tmp_path / 'report.json'}")
    assert done.returncode == 0, done.stderr
    assert "without usage" in done.stdout
    assert report(tmp_path / "report.json")["stages"][0]["output_tokens"] == 6


def test_profile_is_for_routers():
    with server(STREAM + CHUNK + b"data: [DONE]\n\n") as url:
        done = bench(url, "--profile")
    assert done.returncode == 1
    assert "--profile is for a Moesaic router" in done.stderr


def test_where_there_is_no_such_server():
    for url, part in (("http://127.0.0.1:1", "cannot connect"), ("nonsense", "is not a URL"),
                      ("https://127.0.0.1", "is not a URL")):
        done = bench(url)
        assert done.returncode in (1, 2) and part in done.stderr, url
        assert done.stdout == ""


def test_a_router_that_dies_midway(tmp_path):
    with Cluster(golden.checkpoint("olmoe"), shards=1, compute_dtype="f32") as cluster:
        process = subprocess.Popen(
            [BIN / "moesaic", "bench", "--url", cluster.url, *SHORT, "--duration-s=4", "--json",
             tmp_path / "report.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        served = wait_until(lambda: served_requests(cluster) > 20 or None, 60, "requests are served")
        assert served
        os.kill(cluster.child("router-1")["pid"], signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    stage = report(tmp_path / "report.json")["stages"][0]
    assert stage["requests_ok"] > 20
    assert 0 < stage["failures"]["broke_off"]["count"] <= 8
    assert set(stage["failures"]) <= {"broke_off", "connect", "http_503"}


def served_requests(cluster):
    for line in cluster.http.get("/metrics").text.splitlines():
        if line.startswith('moesaic_request_outcomes_total{outcome="ok"}'):
            return float(line.split()[1])
    return 0
