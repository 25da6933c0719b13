"""The usage ledger over real processes, SQLite and PostgreSQL."""
import csv
import io
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from cluster import BIN, ROOT, Cluster, run, wait_until
from golden import checkpoint
from postgres import Postgres

sys.path.append(str(ROOT / "tests" / "chaos"))

import ledger as ledger_chaos  # noqa: E402

PRICES = ROOT / "monitoring" / "prices" / "example.json"


def test_the_same_database_tests_pass_on_postgres():
    """The unit tests of the store, which without a server run on SQLite only."""
    with Postgres() as database:
        done = subprocess.run([BIN.parent / "tests" / "moesaic_ledger_test",
                               "--gtest_filter=*/postgres"],
                              env={**os.environ, "MOESAIC_TEST_POSTGRES": database.url},
                              capture_output=True, text=True, timeout=120, check=False)
        print(done.stdout)
        assert done.returncode == 0
        assert "SKIPPED" not in done.stdout and "[  PASSED  ] 0" not in done.stdout


@pytest.fixture(scope="module")
def priced():
    """A cluster with prices and the ledger that `moesaic up` keeps by itself."""
    with Cluster(ROOT / "models" / "demo", shards=2, price_list=PRICES, price_class="c7i.4xlarge",
                 prometheus="off") as cluster:
        for length in (4, 8, 16):
            cluster.complete(prompt="What is 3 + 4?", max_tokens=length, ignore_eos=True)
        yield cluster


def ledger_rows(cluster, what):
    with sqlite3.connect(cluster.state_dir / "ledger.db") as database:
        return database.execute(what).fetchall()


def await_rows(cluster, count):
    wait_until(lambda: ledger_rows(cluster, "SELECT COUNT(*) FROM usage")[0][0] >= count, 20,
               "rows in the ledger")


def test_a_finished_request_is_a_row(priced):
    await_rows(priced, 3)
    rows = ledger_rows(priced, "SELECT tenant, model, endpoint, outcome, prompt_tokens, "
                               "generated_tokens, finished_us - started_us FROM usage "
                               "ORDER BY generated_tokens")
    assert [row[5] for row in rows] == [4, 8, 16]
    for tenant, model, endpoint, outcome, prompt, _, took_us in rows:
        assert (tenant, model, endpoint, outcome) == ("default", "demo", "/completions", "ok")
        assert prompt > 0 and took_us > 0
    metrics = priced.http.get("/metrics").text
    assert 'moesaic_ledger_records_total{outcome="stored"} 3' in metrics
    assert 'moesaic_ledger_records_total{outcome="dropped"} 0' in metrics


def test_the_command_reports_and_exports(priced):
    await_rows(priced, 3)
    where = ("--state-dir", priced.state_dir)
    report = json.loads(run("usage", *where, "--format", "json", "--by", "tenant,model").stdout)
    (line,) = report["lines"]
    assert (line["tenant"], line["model"], line["requests"]) == ("default", "demo", 3)
    assert line["generated_tokens"] == 28
    table = run("usage", *where)
    assert table.returncode == 0 and table.stdout.startswith("tenant"), table
    assert len(list(csv.DictReader(io.StringIO(run("usage", *where, "--format", "csv", "--by",
                                                   "day").stdout)))) == 1
    focus = list(csv.DictReader(io.StringIO(run("usage", *where, "--format", "focus").stdout)))
    mine = [row for row in focus if row["SubAccountId"] == "default"]
    assert len(mine) == 1
    assert mine[0]["ConsumedUnit"] == "tokens" and mine[0]["ResourceId"] == "demo"
    assert int(mine[0]["ConsumedQuantity"]) == line["prompt_tokens"] + 28
    assert json.loads(mine[0]["Tags"]) == {"tenant": "default", "model": "demo"}
    nothing = run("usage", *where, "--to", "2020-01-01", "--from", "2019-01-01", "--format", "json")
    assert json.loads(nothing.stdout) == {"lines": [], "totals": []}


@pytest.mark.parametrize("arguments, said", [
    (("--by", "user"), "--by"),
    (("--from", "yesterday"), "--from"),
    (("--ledger", "mysql://x"), "sqlite:PATH"),
])
def test_the_command_names_what_is_wrong(priced, arguments, said):
    done = run("usage", "--state-dir", priced.state_dir, *arguments)
    assert done.returncode == 2 and said in done.stderr


def test_without_a_cluster_the_command_says_so(tmp_path):
    done = run("usage", "--state-dir", tmp_path)
    assert done.returncode == 1 and "moesaic up" in done.stderr
    done = run("usage", "--ledger", f"sqlite:{tmp_path}/none.db")
    assert done.returncode == 1 and "none.db" in done.stderr


def test_a_ledger_that_cannot_be_is_refused_at_the_start(tmp_path):
    for arguments, said in ((("--ledger=mysql://x",), "--ledger"),
                            (("--ledger=sqlite:x.db",), "--ledger-queue"),):
        done = subprocess.run([BIN / "moesaic-router", f"--model={ROOT}/models/demo",
                               "--coordinator=127.0.0.1:1", *arguments], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_no_process_of_a_cluster_shows_the_ledger(tmp_path):
    """`moesaic up` is told by flag here; a password would be told by MOESAIC_LEDGER."""
    with Cluster(checkpoint("olmoe"), shards=1, ledger=f"sqlite:{tmp_path}/own.db") as cluster:
        for child in cluster.state()["children"]:
            arguments = pathlib.Path(f"/proc/{child['pid']}/cmdline").read_text(encoding="utf-8")
            assert "own.db" not in arguments, child["name"]
        cluster.complete(prompt=[5, 6], max_tokens=2)
        done = run("usage", "--state-dir", cluster.state_dir, "--format", "json")
        assert done.returncode == 0 and (tmp_path / "own.db").exists()


def test_passwords_stay_out_of_logs(tmp_path):
    done = subprocess.run([BIN / "moesaic-router", f"--model={tmp_path}/none",
                           "--coordinator=127.0.0.1:1", f"--ledger-queue={tmp_path}/queue",
                           "--ledger=postgresql://me:secret@127.0.0.1:1/db"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "me:***@127.0.0.1" in done.stderr and "secret" not in done.stderr
    again = subprocess.run(done.args[:-1], capture_output=True, text=True, timeout=60, check=False,
                           env={**os.environ, "MOESAIC_LEDGER": "postgresql://me:secret@x/db"})
    assert "me:***@x" in again.stderr and "secret" not in again.stderr


def test_kills_lose_no_answer():
    """A short version of tests/chaos/ledger.py."""
    print(ledger_chaos.run(router_kills=3, database_kills=1, seed=20261127))


def test_costs_add_up_to_the_bill():
    """A short version of tests/chaos/cost.py."""
    import cost
    print(cost.run(duration_s=25, seed=20261127))
