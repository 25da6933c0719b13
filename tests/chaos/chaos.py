#!/usr/bin/env python3
"""Breaks and changes a cluster while clients stream, and proves that none of them notices: no request
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

from cluster_under_test import Cluster, Setup  # noqa: E402
from faults import KINDS, parse_kinds  # noqa: E402
from load import Directory, Load, make_prompts  # noqa: E402
from measure import MachineLoad, counters, latencies  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402

READY_TIMEOUT_S = 180


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


@contextlib.contextmanager
def state_folder(wanted):
    """Where logs and state go: a folder that stays, or one that goes."""
    if not wanted:
        with tempfile.TemporaryDirectory(prefix="moesaic-chaos-") as folder:
            yield folder
    else:
        pathlib.Path(wanted).mkdir(parents=True)
        yield wanted


class Trial:
    """A cluster that serves, the answers it gives while nothing disturbs it, and what goes wrong from
    then on. Scenarios (scenarios.py) play on it."""

    def __init__(self, cluster, options, log):
        self.cluster, self.options, self.log = cluster, options, log
        self.model_config = json.loads((cluster.model / "config.json").read_text())
        self.failures = []
        self.disturbed = None
        self._first_router = Directory([lambda: cluster.url])
        self._prompts = make_prompts(options.streams, options.seed, self.model_config["vocab_size"])
        once = Load(self._first_router, self._prompts, options.max_tokens).run_once()
        if once.failures:
            raise RuntimeError(f"undisturbed: {once.failures[0]}\n{cluster.log_tail()}")
        self._expected = once.expected
        with self.load() as load:
            time.sleep(options.calm)
        self.undisturbed = latencies(load)

    @contextlib.contextmanager
    def load(self, directory=None, retry_s=0):
        """Streams go on inside; afterwards the Load has what the clients saw."""
        load = Load(directory or self._first_router, self._prompts, self.options.max_tokens,
                    self._expected, retry_s).start()
        try:
            yield load
        finally:
            load.finish()
            self.failures += load.failures
            self.disturbed = latencies(load) | {"not_accepted": dict(load.not_accepted)}

    def crashes(self):
        """The signals that processes have died of by themselves, by name of the process."""
        everybody = [*self.cluster.shards, *self.cluster.routers, self.cluster.coordinator]
        died = {process.name: [-code for code in process.died if code < 0] for process in everybody}
        return {name: signals for name, signals in died.items() if signals}


def run(options, log=print):
    """One run; returns the report. `failed` in it must be 0."""
    log(f"seed {options.seed}, {options.scenario}")
    with state_folder(options.folder) as folder, Cluster(folder, setup_for(options)) as cluster:
        await_ready(cluster)
        trial = Trial(cluster, options, log)
        machine, before = MachineLoad(), counters(cluster.url)
        try:
            found = SCENARIOS[options.scenario].play(trial)
        except BaseException:
            log(cluster.log_tail())
            raise
        counted = count_since(before, cluster)
        if trial.failures:
            log(cluster.log_tail())
        machine = machine.report()
    return {"scenario": options.scenario, "seed": options.seed, "failed": len(trial.failures),
            "failures": trial.failures[:5], "crashes": trial.crashes(),
            "undisturbed": trial.undisturbed, "disturbed": trial.disturbed, "found": found,
            "machine": machine, **counted}


def count_since(before, cluster):
    """What the first router counted; nothing when it was restarted, for it has begun anew."""
    if cluster.routers[0].starts > 1:
        return {}
    counted = {name: value - before[name] for name, value in counters(cluster.url).items()}
    dispatches = max(1.0, counted["moesaic_dispatches_total"])
    return {"hedged_percent": round(100 * counted["moesaic_hedges_total"] / dispatches, 2),
            "counters": counted}


def setup_for(options):
    """The cluster that the options and their faults need."""
    needs = {kind.needs for kind, _ in options.faults} if options.scenario == "faults" else set()
    network = "namespaces" if options.namespaces else "relays" if "links" in needs else "direct"
    return Setup(model=options.model, shards=options.shards, nodes=options.nodes,
                 replicas=options.replicas, routers=options.routers, network=network,
                 coordinator_relay="coordinator_relay" in needs, disks="disks" in needs,
                 flags=tuple(options.flags))


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--scenario", choices=SCENARIOS, default="faults")
    add("--seed", type=int, default=random.randrange(1 << 31))
    add("--json", help="also write the report to this file")
    add("--folder", help="keep logs and state in this new folder")
    add("--calm", type=float, default=10, help="seconds without disturbance before")
    cluster = parser.add_argument_group("the cluster").add_argument
    cluster("--model", default=Setup.model)
    cluster("--shards", type=int, default=4)
    cluster("--nodes", type=int, default=2)
    cluster("--replicas", type=int, default=2)
    cluster("--routers", type=int, default=1)
    cluster("--namespaces", action="store_true",
            help="each shard in a network namespace (needs root): faults hit real packets")
    cluster("flags", nargs="*", help="after --: flags for router and shards")
    load = parser.add_argument_group("the load").add_argument
    load("--streams", type=int, default=16)
    load("--max-tokens", type=int, default=64)
    faults = parser.add_argument_group("faults").add_argument
    faults("--duration", type=float, default=120, help="seconds of faults, or of mixed load")
    faults("--faults", default="kill,stop,terminate,missing,coordinator-kill,coordinator-pause",
           help=f"comma-separated, of: {', '.join(KINDS)}; NAME:SECONDS fixes how long one lasts")
    faults("--in-turn", action="store_true", help="one fault after the other, not at random")
    faults("--gap-from", type=float, default=1.5, help="least seconds between faults")
    faults("--gap-to", type=float, default=5, help="most seconds between faults")
    faults("--loss-percent", type=float, default=0, help="packets lost on every link throughout")
    faults("--delay-ms", type=float, default=0, help="delay of every link, each way, throughout")
    change = parser.add_argument_group("scaling and restarts").add_argument
    change("--scale-to", type=int, default=6, help="shards at the most")
    change("--rounds", type=int, default=10)
    change("--hold", type=float, default=2, help="seconds at each size, or after each restart")
    return parser


def parse(arguments=None):
    parser = make_parser()
    scenario = parser.parse_known_args(arguments)[0].scenario
    parser.set_defaults(**SCENARIOS[scenario].defaults)
    options = parser.parse_args(arguments)
    try:
        options.faults = parse_kinds(options.faults) if options.faults else []
    except ValueError as error:
        parser.error(str(error))
    lossy = any(kind.needs == "packets" for kind, _ in options.faults)
    if not options.namespaces and (lossy or options.loss_percent or options.delay_ms):
        parser.error("loss, --loss-percent and --delay-ms need --namespaces")
    return options


def main():
    options = parse()
    report = run(options)
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
