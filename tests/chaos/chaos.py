#!/usr/bin/env python3
"""Breaks a cluster at random while clients stream, and proves that none of them notices: no request
fails, and every answer is the undisturbed one byte for byte, log-probabilities included.

    tests/chaos/chaos.py --duration 600 --faults kill --seed 7

The seed is printed; the same seed, duration and faults give the same schedule again."""
import argparse
import contextlib
import json
import pathlib
import random
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from faults import KINDS, make_schedule, play  # noqa: E402
from load import Load, make_prompts, quantile  # noqa: E402
from processes import ROOT, Cluster  # noqa: E402
from relay import RelayLoop  # noqa: E402

READY_TIMEOUT_S = 180
COUNTERS = ("moesaic_dispatches_total", "moesaic_hedges_total", "moesaic_hedge_wins_total",
            "moesaic_retried_units_total", "moesaic_shard_suspicions_total",
            "moesaic_abandoned_dispatches_total", "moesaic_retry_budget_refusals_total",
            "moesaic_throttled_units_total")


def await_ready(cluster):
    end = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://{cluster.url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the cluster is not ready\n" + cluster.log_tail())


def counters(cluster):
    """Sums over all labels of the router's counters."""
    sums = dict.fromkeys(COUNTERS, 0.0)
    with urllib.request.urlopen(f"http://{cluster.url}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            name = line.split("{")[0].split(" ")[0]
            if name in sums:
                sums[name] += float(line.rsplit(" ", 1)[1])
    return sums


@contextlib.contextmanager
def state_folder(wanted):
    """Where logs and state go: a folder that stays, or one that goes."""
    if not wanted:
        with tempfile.TemporaryDirectory(prefix="moesaic-chaos-") as folder:
            yield folder
    else:
        pathlib.Path(wanted).mkdir(parents=True)
        yield wanted


def milliseconds(load):
    return {"requests": load.requests,
            "gap_p50_ms": round(1e3 * quantile(load.gaps, 0.5), 2),
            "gap_p99_ms": round(1e3 * quantile(load.gaps, 0.99), 2),
            "gap_max_ms": round(1e3 * load.longest[0], 2),
            "gap_max_until": time.strftime("%H:%M:%S", time.gmtime(load.longest[1])),
            "first_token_p99_ms": round(1e3 * quantile(load.first_token_s, 0.99), 2)}


def run(options, log=print):
    """One run; returns the report. `failed` in it must be 0."""
    schedule = make_schedule(options.faults, options.seed, options.duration, options.shards,
                             (options.gap_from, options.gap_to))
    log(f"seed {options.seed}; {len(schedule)} faults in {options.duration:.0f} s")
    relays = RelayLoop() if any(KINDS[name].needs_relays for name in options.faults) else None
    vocab = json.loads((pathlib.Path(options.model) / "config.json").read_text())["vocab_size"]
    prompts = make_prompts(options.streams, options.seed, vocab)
    with state_folder(options.folder) as folder, Cluster(
            folder, options.model, options.shards, options.nodes, options.replicas, relays,
            options.flags) as cluster:
        await_ready(cluster)
        calm = Load(cluster.url, prompts, options.max_tokens).run_once()
        if calm.failures:
            raise RuntimeError(f"undisturbed: {calm.failures[0]}\n{cluster.log_tail()}")
        undisturbed = Load(cluster.url, prompts, options.max_tokens, calm.expected).start()
        time.sleep(options.calm)
        undisturbed.finish()
        before = counters(cluster)
        load = Load(cluster.url, prompts, options.max_tokens, calm.expected).start()
        play(schedule, cluster, log)
        load.finish()
        after = counters(cluster)
        failures = undisturbed.failures + load.failures
        if failures:
            log(cluster.log_tail())
    counted = {name: after[name] - before[name] for name in COUNTERS}
    dispatches = max(1.0, counted["moesaic_dispatches_total"])
    report = {"seed": options.seed, "faults": len(schedule), "failed": len(failures),
              "failures": failures[:5], "undisturbed": milliseconds(undisturbed),
              "disturbed": milliseconds(load), "counters": counted,
              "hedged_percent": round(100 * counted["moesaic_hedges_total"] / dispatches, 2)}
    if relays:
        relays.close()
    return report


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default=str(ROOT / "models/demo"))
    parser.add_argument("--duration", type=float, default=120, help="seconds of faults")
    parser.add_argument("--calm", type=float, default=10, help="seconds without faults before")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--faults", default="kill,stop,terminate,unreadable,coordinator-kill,"
                        "coordinator-pause", help=f"comma-separated, of: {', '.join(KINDS)}")
    parser.add_argument("--gap-from", type=float, default=1.5, help="least seconds between faults")
    parser.add_argument("--gap-to", type=float, default=5, help="most seconds between faults")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--folder", help="keep logs and state in this new folder")
    parser.add_argument("flags", nargs="*", help="after --: flags for router and shards")
    options = parser.parse_args(arguments)
    options.faults = options.faults.split(",")
    return options


def main():
    report = run(parse())
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
