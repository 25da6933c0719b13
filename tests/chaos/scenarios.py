"""What is done to a cluster while clients stream: faults at random, or one planned change."""
import dataclasses
import random
import sys
import threading
import time

from faults import make_schedule, play
from load import Directory, is_ready, stream
from measure import TokenRate, latencies
from processes import ROOT

SETTLE_TIMEOUT_S = 120
DRAIN_TIMEOUT_S = 180
# How often a shard that starts is asked whether it has computed a row.
FIRST_ROW_POLL_S = 0.02


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`play(trial)` does it and returns what it found out, for the report. `defaults`: of options."""

    play: object
    defaults: dict


def wait_until(condition, timeout_s, what):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(0.1)


def incarnations(status):
    """By name of the shard."""
    return {shard["placed"]["shard"]: shard["placed"]["incarnation"] for shard in status["shards"]}


def settled(cluster, shards, gone=None):
    """Whether all `shards` serve all that they should hold, and every unit has its replicas. `gone`:
    (shard's name, incarnation) that the coordinator has to have forgotten."""
    status = cluster.status()
    if status is None or status["units_below_replicas"] or status["units_uncovered"]:
        return False
    if gone in incarnations(status).items():
        return False
    serving = {shard["placed"]["shard"] for shard in status["shards"]
               if shard["state"] == "SERVING" and shard["held_units"] >= shard["assigned_units"] > 0}
    return {shard.name for shard in shards} <= serving


def await_settled(cluster, shards, what, gone=None):
    wait_until(lambda: settled(cluster, shards, gone), SETTLE_TIMEOUT_S, what)


def terminate(process):
    """SIGTERM, which has to end the process in good order."""
    code = process.terminate()
    if code != 0:
        raise AssertionError(f"{process.name} ended with {code} after SIGTERM")


# Faults


def play_faults(trial):
    options, cluster = trial.options, trial.cluster
    schedule = make_schedule(options.faults, options.seed, options.duration, options.shards,
                             (options.gap_from, options.gap_to), options.in_turn)
    trial.log(f"{len(schedule)} faults in {options.duration:.0f} s")
    for link in cluster.links.values():
        if options.delay_ms:
            link.delay(options.delay_ms / 1e3)
        if options.loss_percent:
            link.loss(options.loss_percent / 100)
    with trial.load():
        play(schedule, cluster, trial.log, options.duration)
    return {"faults": len(schedule)}


# Scaling


def scale(trial):
    """From `shards` to `scale_to` and back, `rounds` times."""
    options, cluster = trial.options, trial.cluster
    rounds, few = [], list(cluster.shards)
    with trial.load():
        for number in range(options.rounds):
            added, growth = grow(trial, few)
            rate = TokenRate(cluster.url)
            time.sleep(options.hold)
            many_per_s = rate.per_s()
            drain_s = shrink(trial, added, few)
            rate = TokenRate(cluster.url)
            time.sleep(options.hold)
            rounds.append({**growth, "drain_s": drain_s,
                           "tokens_per_s_many": many_per_s, "tokens_per_s_few": rate.per_s()})
            trial.log(f"round {number + 1}: {rounds[-1]}")
    return {"shards": [len(few), len(cluster.shards)], "rounds": rounds}


def grow(trial, few):
    """Starts the shards beyond `few`; returns them and the seconds from there until all of them are
    reachable, until each has computed a row, and until all hold their units."""
    cluster = trial.cluster
    if len(cluster.shards) == len(few):
        begun = time.monotonic()
        added = [cluster.add_shard() for _ in range(trial.options.scale_to - len(few))]
    else:
        begun, added = time.monotonic(), [shard.start() for shard in cluster.shards[len(few):]]
    for shard in added:
        cluster.await_shard(shard)
    reachable_s = time.monotonic() - begun
    first_row_s = await_first_rows(added, begun)
    await_settled(cluster, few + added, "more shards hold their units")
    settled_s = time.monotonic() - begun
    return added, {"reachable_s": round(reachable_s, 3), "first_row_s": first_row_s,
                   "settled_s": round(settled_s, 3)}


def await_first_rows(shards, begun):
    """Seconds from `begun` until each shard has computed a row, by name of the shard."""
    import grpc  # only here: the other scenarios need no more than a bare Python
    sys.path.append(str(ROOT / "tests/integration"))
    import stubs as protos
    seconds = {}
    channels = {shard.name: grpc.insecure_channel(shard.addresses["grpc"]) for shard in shards}
    stubs = {name: protos.shard_grpc.ExpertShardStub(channel) for name, channel in channels.items()}

    def all_computed():
        for name, stub in stubs.items():
            if name not in seconds and stub.Describe(
                    protos.shard.DescribeRequest(), timeout=10).expert_rows_total > 0:
                seconds[name] = round(time.monotonic() - begun, 3)
        return len(seconds) == len(stubs)

    end = time.monotonic() + SETTLE_TIMEOUT_S
    while not all_computed() and time.monotonic() < end:
        time.sleep(FIRST_ROW_POLL_S)
    for channel in channels.values():
        channel.close()
    if len(seconds) < len(shards):
        raise AssertionError(f"only {seconds} have computed a row within {SETTLE_TIMEOUT_S} s")
    return seconds


def shrink(trial, added, few):
    """Drains and ends the added shards; returns the seconds each drain took."""
    seconds = {}
    for shard in added:
        begun = time.monotonic()
        done = trial.cluster.moesaic("drain", shard.name, timeout_s=DRAIN_TIMEOUT_S)
        if done.returncode != 0:
            raise AssertionError(f"drain {shard.name}: {done.stdout}{done.stderr}")
        seconds[shard.name] = round(time.monotonic() - begun, 3)
        terminate(shard)
    await_settled(trial.cluster, few, "fewer shards hold their units")
    return seconds


# Restarts


def restart_shards_and_coordinator(trial):
    """One process after the other; the next when every unit has its replicas again."""
    cluster, seconds = trial.cluster, {}
    with trial.load():
        for process in [*cluster.shards, cluster.coordinator]:
            gone = process.name, incarnations(cluster.status()).get(process.name)
            begun = time.monotonic()
            terminate(process)
            process.start().await_addresses()
            await_settled(cluster, cluster.shards, f"{process.name} is back", gone)
            seconds[process.name] = round(time.monotonic() - begun, 2)
            trial.log(f"{process.name} restarted in {seconds[process.name]} s")
            time.sleep(trial.options.hold)
    return {"restarts": len(seconds), "seconds": seconds}


def restart_routers(trial):
    """Each router in turn, `rounds` times; clients choose one that is ready."""
    cluster, restarts = trial.cluster, 0
    with trial.load(Directory([lambda router=router: router.addresses["http"]
                               for router in cluster.routers]), retry_s=30):
        for _ in range(trial.options.rounds):
            for router in cluster.routers:
                time.sleep(trial.options.hold)
                trial.log(f"restarting {router.name}")
                terminate(router)
                router.start().await_addresses()
                wait_until(lambda: is_ready(router.addresses["http"]), SETTLE_TIMEOUT_S,
                           f"{router.name} is ready")
                restarts += 1
    return {"restarts": restarts}


# Mixed load


def mix_prefills(trial):
    """Another router sends long prompts to the same shards: at equal priority, and yielding the cores
    to the first router where they are the same machine's."""
    found = {}
    for priority, prefix in (("equal", ()), ("nice_19", ("nice", "-n", "19"))):
        router = trial.cluster.make_router(f"router-{priority}", prefix).start().await_addresses()
        wait_until(lambda: is_ready(router.addresses["http"]), SETTLE_TIMEOUT_S, "router is ready")
        prefills = Prefills(router.addresses["http"], trial.options.seed, trial.model_config)
        rate = TokenRate(trial.cluster.url)
        with trial.load() as load:
            time.sleep(trial.options.duration / 2)
            tokens_per_s = rate.per_s()
        trial.failures += prefills.finish()
        terminate(router)
        found[priority] = latencies(load) | {
            "prefills": prefills.done, "tokens_per_s": tokens_per_s,
            "p99_ratio": round(latencies(load)["gap_p99_ms"] / trial.undisturbed["gap_p99_ms"], 2)}
    return found


class Prefills:
    """One client that sends prompts as long as the model takes, each another one, until finished."""

    def __init__(self, address, seed, model_config):
        self._address = address
        self._random = random.Random(seed)
        self._config = model_config
        self._stop = threading.Event()
        self._failures = []
        self.done = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        length = self._config["max_position_embeddings"] - 1
        while not self._stop.is_set():
            prompt = [self._random.randrange(3, self._config["vocab_size"]) for _ in range(length)]
            try:
                stream(self._address, prompt, max_tokens=1)
                self.done += 1
            except Exception as error:
                self._failures.append({"at": time.time(), "problem": f"prefill: {error!r}"})
                time.sleep(0.2)

    def finish(self):
        """Ends with the prompt in progress; returns the failures."""
        self._stop.set()
        self._thread.join()
        return self._failures


SCENARIOS = {
    "faults": Scenario(play_faults, {}),
    "scale": Scenario(scale, {"shards": 2, "hold": 8.0}),
    "rolling-restart": Scenario(restart_shards_and_coordinator, {}),
    "router-restart": Scenario(restart_routers, {"routers": 2, "rounds": 3}),
    "mixed-load": Scenario(mix_prefills, {"streams": 8, "duration": 60.0}),
}
