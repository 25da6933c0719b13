"""Two minutes of chaos for the test suite; chaos.py runs longer ones."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import chaos  # noqa: E402

# A fixed seed: the suite repeats itself, nights and people vary it.
SEED = 20261125


def check(*arguments):
    report = chaos.run(chaos.parse([f"--seed={SEED}", "--calm=3", *arguments]))
    print(report)
    assert report["failed"] == 0, report["failures"]
    assert report["faults"] > 0 and report["disturbed"]["requests"] > 0


def test_processes_die_stall_and_leave():
    check("--duration=60")


def test_connections_break_and_slow_down():
    check("--duration=30", "--faults=cut,partition,delay")


def test_without_a_replica_requests_wait_for_the_shard():
    check("--duration=20", "--faults=kill,terminate", "--replicas=1", "--gap-from=3")
