"""From a slow request to its timeline: ids in and out, the list of requests, the trace itself."""
import collections
import json
import os
import pathlib
import signal
import threading

import pytest

from cluster import Cluster, run, wait_until
from golden import checkpoint

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(checkpoint("olmoe"), shards=2, log_format="json") as running:
        yield running


def complete(cluster, headers=None, **body):
    body = {"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": True, **body}
    response = cluster.http.post("/v1/completions", json=body, headers=headers or {})
    assert response.status_code == 200, response.text
    return response


def log_lines(cluster, process, message):
    text = pathlib.Path(cluster.child(process)["log"]).read_text(encoding="utf-8")
    entries = map(json.loads, text.splitlines())
    return [entry for entry in entries if entry["msg"] == message]


def check_structure(trace):
    """What a viewer relies on: fields of every event, and spans of a track that nest."""
    tracks = collections.defaultdict(list)
    named = set()
    for event in trace["traceEvents"]:
        assert event["ph"] in ("M", "X", "i")
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            named.add((event["pid"], event["tid"]))
            continue
        assert isinstance(event["ts"], int) and event["ts"] >= 0 and event["name"]
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks[event["pid"], event["tid"]].append((event["ts"], -event["dur"]))
    for track, spans in tracks.items():
        assert track in named and (track[0], 0) in named
        open_ends = []
        for begin, negative in sorted(spans):
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            assert not open_ends or begin - negative <= open_ends[-1], (track, begin)
            open_ends.append(begin - negative)


def spans(trace, name):
    return [event for event in trace["traceEvents"] if event["ph"] == "X" and event["name"] == name]


def test_a_trace_goes_through_router_and_shards(cluster):
    run("log-level", "shard-1", "debug", "--state-dir", cluster.state_dir)
    response = complete(cluster, {"traceparent": TRACEPARENT, "x-request-id": "mine"})
    version, trace, span, flags = response.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and span != "00f067aa0ba902b7"
    assert response.headers["x-request-id"] == "mine"
    lines = wait_until(lambda: log_lines(cluster, "shard-1", "dispatch"), 10, "lines of the shard")
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert all(line["outcome"] == "ok" and line["rows"] > 0 for line in lines)
    run("log-level", "shard-1", "info", "--state-dir", cluster.state_dir)


def test_one_line_a_request_with_its_ids_and_phases(cluster):
    complete(cluster, {"x-request-id": "logged", "traceparent": TRACEPARENT})
    lines = wait_until(lambda: [line for line in log_lines(cluster, "router-1", "request")
                                if line["request_id"] == "logged"], 10, "the request's line")
    assert len(lines) == 1
    line = lines[0]
    assert line["trace_id"] == TRACE and line["code"] == 200 and line["outcome"] == "ok"
    assert (line["prompt_tokens"], line["generated_tokens"]) == (3, 4)
    assert line["endpoint"] == "/completions" and line["tenant"] == "default"
    phases = line["queue_seconds"] + line["prefill_seconds"] + line["decode_seconds"]
    assert 0 < phases <= line["seconds"] and line["first_token_seconds"] <= line["seconds"]
    steps = sum(value for name, value in line.items() if name.startswith("step_"))
    assert 0 < line["step_expert_seconds"] < steps <= line["seconds"]
    assert line["router_seconds"] > 0 and line["shard_seconds"] > 0
    assert "prompt" not in line


@pytest.mark.parametrize("header", ["", "nonsense", TRACEPARENT.upper(), TRACEPARENT + "-x",
                                    "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "\u00ff" * 55])
def test_an_invalid_traceparent_begins_a_new_trace(cluster, header):
    headers = {"traceparent": header.encode("latin-1")}
    _, trace, span, flags = complete(cluster, headers).headers["traceparent"].split("-")
    assert len(trace) == 32 and len(span) == 16 and trace != TRACE and flags == "00"


def test_the_timeline_adds_up(cluster):
    complete(cluster, {"x-request-id": "timeline"}, prompt=list(range(2, 40)), max_tokens=20)
    trace = cluster.http.get("/debug/trace/timeline").json()
    check_structure(trace)
    (request,) = spans(trace, "/completions")
    phases = sum(sum(span["dur"] for span in spans(trace, name) if span["pid"] == 1)
                 for name in ("parse", "queue", "prefill", "decode", "deliver"))
    assert abs(phases - request["dur"]) <= 100 + 0.02 * request["dur"]
    steps = spans(trace, "step")
    assert all("attention_ms" in step["args"] for step in steps[:2])
    assert len(steps) == 20 and sum(step["args"]["rows"] for step in steps) == 38 + 19
    processes = {event["args"]["name"] for event in trace["traceEvents"]
                 if event["name"] == "process_name"}
    assert processes == {"router-1", "shard-1", "shard-2"}
    dispatches = [event for event in trace["traceEvents"]
                  if event["ph"] == "X" and event["pid"] > 1 and "outcome" in event["args"]]
    assert dispatches and all(event["args"]["outcome"] == "ok" for event in dispatches)
    for event in dispatches:
        assert event["args"]["queue_wait_ms"] + event["args"]["compute_ms"] <= (
            event["args"]["round_trip_ms"] + 1)


def test_a_slow_request_is_found_and_shows_who_was_slow(cluster):
    """The three steps of docs/operations.md."""
    for _ in range(5):
        complete(cluster)
    pid = cluster.child("shard-2")["pid"]
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
    complete(cluster, {"x-request-id": "stuck"}, max_tokens=30)

    listed = run("requests", "--slowest", "--json", "-n", 3, "--state-dir", cluster.state_dir)
    assert listed.returncode == 0, listed.stderr
    slowest = json.loads(listed.stdout)
    assert len(slowest) == 3 and slowest[0]["request_id"] == "stuck"
    assert slowest[0]["duration_ms"] > 700
    table = run("requests", "--min-ttft-ms", 500, "--state-dir", cluster.state_dir).stdout
    assert "stuck" in table and len(table.splitlines()) == 2

    shown = run("trace", "stuck", "--state-dir", cluster.state_dir)
    assert shown.returncode == 0, shown.stderr
    trace = json.loads(shown.stdout)
    check_structure(trace)
    names = {event["pid"]: event["args"]["name"] for event in trace["traceEvents"]
             if event["name"] == "process_name"}
    longest = max((event for event in trace["traceEvents"] if event["ph"] == "X" and event["pid"] > 1),
                  key=lambda event: event["dur"])
    assert names[longest["pid"]] == "shard-2" and longest["dur"] > 500_000
    assert longest["args"]["compute_ms"] < 500  # it was not computing


def test_what_is_not_known_is_an_error(cluster):
    assert cluster.http.get("/debug/trace/nobody").status_code == 404
    assert cluster.http.get("/debug/requests?slow=1").status_code == 400
    done = run("trace", "nobody", "--state-dir", cluster.state_dir)
    assert done.returncode == 1 and "nobody" in done.stderr


def test_a_refused_request_has_a_line_and_errors_keep_their_id(cluster):
    response = cluster.http.post("/v1/completions", json={"prompt": [5], "temperature": 9},
                                 headers={"traceparent": TRACEPARENT, "x-request-id": "wrong"})
    assert response.status_code == 400
    assert response.headers["x-request-id"] == "wrong" and TRACE in response.headers["traceparent"]


def test_prompts_are_logged_only_when_asked_for():
    with Cluster(checkpoint("olmoe"), shards=1, log_prompts="true", log_format="json",
                 trace_memory_bytes=0) as cluster:
        complete(cluster, prompt=[5] * 600)
        (line,) = wait_until(lambda: log_lines(cluster, "router-1", "request"), 10, "the line")
        assert 0 < len(line["prompt"].encode()) <= 3 * 1024
        assert cluster.http.get("/debug/requests").json() == {"requests": []}
