"""Three minutes of chaos for the test suite; chaos.py runs longer ones."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import chaos  # noqa: E402
import netns  # noqa: E402
import slow_disk  # noqa: E402

# A fixed seed: the suite repeats itself, nights and people vary it.
SEED = 20261125


def check(*arguments):
    report = chaos.run(chaos.parse([f"--seed={SEED}", "--calm=3", *arguments]))
    print(report)
    assert report["failed"] == 0, report["failures"]
    assert report["disturbed"]["requests"] > 0
    return report


def test_processes_die_stall_and_leave():
    report = check("--duration=35")
    assert report["found"]["faults"] > 0 and report["crashes"] == {}


def test_connections_break_and_slow_down():
    report = check("--duration=15", "--faults=cut,partition,delay")
    assert report["found"]["faults"] > 0 and report["crashes"] == {}


def test_without_a_replica_requests_wait_for_the_shard():
    report = check("--duration=15", "--faults=kill,terminate", "--replicas=1", "--gap-from=3")
    assert report["found"]["faults"] > 0 and report["crashes"] == {}


def test_packets_are_lost_and_late():
    if why := netns.why_unavailable():
        pytest.skip(why)
    report = check("--duration=12", "--namespaces", "--loss-percent=1", "--delay-ms=20",
                   "--faults=partition:5")
    assert report["found"]["faults"] > 0 and report["crashes"] == {}


def test_disks_are_slow_and_fail():
    if why := slow_disk.why_unavailable():
        pytest.skip(why)
    report = check("--duration=10", "--faults=slow-disk:4,unreadable:6", "--in-turn", "--gap-from=1",
                   "--gap-to=2")
    assert report["found"]["faults"] > 1 and report["crashes"] == {}


def test_every_process_but_the_router_restarts():
    report = check("--scenario=rolling-restart", "--hold=1")
    assert report["found"]["restarts"] == 5


def test_routers_restart_behind_a_load_balancer():
    report = check("--scenario=router-restart", "--rounds=1")
    assert report["found"]["restarts"] == 2


def test_shards_come_and_go():
    report = check("--scenario=scale", "--rounds=1", "--scale-to=3", "--hold=1")
    assert len(report["found"]["rounds"]) == 1
