"""Logs of real processes: JSON whatever happens, and a level that changes while they run."""
import json
import pathlib

import pytest

from cluster import Cluster, run, wait_until
from golden import checkpoint


def lines(cluster, process):
    """A process's log, every line of it JSON."""
    text = pathlib.Path(cluster.child(process)["log"]).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(checkpoint("olmoe"), shards=1, log_format="json") as running:
        yield running


def test_every_line_of_every_process_is_json(cluster):
    for process, program in [("router-1", "moesaic-router"), ("shard-1", "moesaic-shard"),
                             ("coordinator", "moesaic-coordinator")]:
        entries = lines(cluster, process)
        assert entries
        for entry in entries:
            assert entry["process"] == program
            assert entry["level"] in ("debug", "info", "warning", "error")
            assert entry["ts"].endswith("Z") and entry["msg"]


def test_the_level_changes_while_it_runs(cluster):
    def level(*arguments):
        done = run("log-level", "router-1", *arguments, "--state-dir", cluster.state_dir)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def debug_lines():
        return [entry for entry in lines(cluster, "router-1") if entry["level"] == "debug"]

    assert level() == "router-1: info"
    cluster.complete(prompt=[5], max_tokens=1)
    assert not debug_lines()
    assert level("debug") == "router-1: debug"
    assert cluster.http.get("/debug/log-level").json() == {"level": "debug"}
    cluster.complete(prompt=[5], max_tokens=1)
    wait_until(debug_lines, 10, "debug lines")
    assert level("info") == "router-1: info"
    for process in ("shard-1", "coordinator"):
        done = run("log-level", process, "warning", "--state-dir", cluster.state_dir)
        assert (done.returncode, done.stdout) == (0, f"{process}: warning\n"), done.stderr


def test_what_is_no_level_or_no_process_is_an_error(cluster):
    assert cluster.http.put("/debug/log-level", content=b"\xff").status_code == 400
    done = run("log-level", "router-9", "--state-dir", cluster.state_dir)
    assert done.returncode == 1 and "router-1" in done.stderr
    assert run("log-level", "router-1", "loud", "--state-dir", cluster.state_dir).returncode == 2
