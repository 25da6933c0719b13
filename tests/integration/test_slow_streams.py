"""Hundreds of slow clients do not disturb the streams that work (tests/chaos/slow_streams.py opens
ten thousand)."""
import sys
from cluster import ROOT

sys.path.insert(0, str(ROOT / "tests" / "chaos"))
import golden  # noqa: E402
import slow_streams  # noqa: E402


def test_slow_streams_cost_little_and_disturb_nobody():
    count = 400
    with slow_streams.start_cluster(golden.checkpoint("olmoe"), count) as cluster:
        report = slow_streams.measure(cluster, count, seconds=2)
    assert report["open"] >= count * 0.9, report  # some slow headers were cut off in time
    assert report["threads_beside"] <= report["threads_before"] + 2, report
    assert report["bytes_each"] < 128 * 1024, report
