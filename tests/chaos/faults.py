"""What can go wrong, and when: a schedule is a list of faults, the same for the same seed."""
import random
import time


class Fault:
    """Something done to the cluster at `at` (seconds) and undone `lasts` seconds later. A fault on a
    shard leaves the others alone: at most one shard is down at a time."""

    needs_relays = False
    on_shard = True

    def __init__(self, at, lasts, target):
        self.at, self.lasts, self.target = at, lasts, target

    def __str__(self):
        return f"{self.at:7.2f} s  {self.name:<18} {self.target or '':<12} for {self.lasts:.2f} s"

    def begin(self, cluster):
        raise NotImplementedError

    def end(self, cluster):
        raise NotImplementedError

    def shard(self, cluster):
        return next(shard for shard in cluster.shards if shard.name == self.target)


class Kill(Fault):
    """kill -9, started again after `lasts`."""

    name, duration = "kill", (2.0, 2.0)

    def begin(self, cluster):
        self.shard(cluster).kill()

    def end(self, cluster):
        self.shard(cluster).start()


class Stop(Fault):
    """SIGSTOP: the connections stay, nobody answers."""

    name, duration = "stop", (1.0, 5.0)

    def begin(self, cluster):
        self.shard(cluster).pause()

    def end(self, cluster):
        self.shard(cluster).resume()


class Terminate(Fault):
    """SIGTERM: it has to drain and exit with 0, and is started again."""

    name, duration = "terminate", (1.0, 2.0)

    def begin(self, cluster):
        code = self.shard(cluster).terminate()
        if code != 0:
            raise AssertionError(f"{self.target} ended with {code} after SIGTERM")

    def end(self, cluster):
        self.shard(cluster).start()


class Unreadable(Fault):
    """The shard dies, and for a while its checkpoint cannot be read when it starts."""

    name, duration = "unreadable", (2.0, 4.0)

    def begin(self, cluster):
        shard = self.shard(cluster)
        shard.kill()
        for file in shard.model.glob("*.safetensors"):
            file.rename(file.with_suffix(".away"))
        shard.start()  # it has to refuse, not to serve something else

    def end(self, cluster):
        shard = self.shard(cluster)
        for file in shard.model.glob("*.away"):
            file.rename(file.with_suffix(".safetensors"))
        if not shard.running():
            shard.start()


class KillCoordinator(Fault):
    name, duration, on_shard = "coordinator-kill", (3.0, 15.0), False

    def begin(self, cluster):
        cluster.coordinator.kill()

    def end(self, cluster):
        cluster.coordinator.start()


class PauseCoordinator(Fault):
    name, duration, on_shard = "coordinator-pause", (5.0, 20.0), False

    def begin(self, cluster):
        cluster.coordinator.pause()

    def end(self, cluster):
        cluster.coordinator.resume()


class SecondCoordinator(Fault):
    """A second coordinator runs beside the first, and each has some of the shards and routers."""

    name, duration, on_shard, needs_relays = "second-coordinator", (12.0, 25.0), False, True

    def begin(self, cluster):
        cluster.start_second_coordinator()

    def end(self, cluster):
        cluster.stop_second_coordinator()


class Cut(Fault):
    """All connections to a shard are reset."""

    name, duration, needs_relays = "cut", (0.1, 0.1), True

    def begin(self, cluster):
        cluster.relays[self.target].cut()

    def end(self, cluster):
        pass


class Partition(Fault):
    """Nothing passes to or from a shard, and nobody is told."""

    name, duration, needs_relays = "partition", (2.0, 10.0), True

    def begin(self, cluster):
        cluster.relays[self.target].partition(True)

    def end(self, cluster):
        cluster.relays[self.target].partition(False)


class Delay(Fault):
    """20 ms more in each direction to a shard."""

    name, duration, needs_relays = "delay", (3.0, 10.0), True

    def begin(self, cluster):
        cluster.relays[self.target].delay(0.02)

    def end(self, cluster):
        cluster.relays[self.target].delay(0)


KINDS = {kind.name: kind for kind in (Kill, Stop, Terminate, Unreadable, KillCoordinator,
                                      PauseCoordinator, SecondCoordinator, Cut, Partition, Delay)}


def make_schedule(kinds, seed, duration_s, shards, gap_s):
    """Random faults from `seed`. Shards come one after the other with `gap_s` (from, to) between the
    end of a fault and the next; coordinator faults run beside them on a clock of their own."""
    schedule = []
    rng = random.Random(seed)
    for group in (True, False):
        names = [name for name in kinds if KINDS[name].on_shard == group]
        at = rng.uniform(*gap_s)
        while names and at < duration_s:
            kind = KINDS[rng.choice(names)]
            target = f"shard-{rng.randrange(shards) + 1}" if group else None
            fault = kind(at, rng.uniform(*kind.duration), target)
            schedule.append(fault)
            at += fault.lasts + rng.uniform(*gap_s)
    return sorted(schedule, key=lambda fault: fault.at)


def play(schedule, cluster, log):
    """Carries the schedule out in real time; everything is undone when it returns."""
    steps = [(fault.at, fault.begin, fault) for fault in schedule]
    steps += [(fault.at + fault.lasts, fault.end, fault) for fault in schedule]
    start = time.monotonic()
    for at, act, fault in sorted(steps, key=lambda step: step[0]):
        time.sleep(max(0.0, start + at - time.monotonic()))
        if act == fault.begin:
            log(str(fault))
        act(cluster)
