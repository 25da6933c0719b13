"""What can go wrong, and when: a schedule is a list of faults, the same for the same seed."""
import itertools
import random
import time


class Fault:
    """Something done to the cluster at `at` (seconds) and undone `lasts` seconds later. A fault on a
    shard leaves the others alone: at most one shard is down at a time. `draw` (0 to 1) decides what
    else is left to chance."""

    on_shard = True
    needs = None  # of "links", "packets" (links that are no relays), "coordinator_relay", "disks"

    def __init__(self, at, lasts, target, draw):
        self.at, self.lasts, self.target, self.draw = at, lasts, target, draw

    def __str__(self):
        return f"{self.at:7.2f} s  {self.name:<18} {self.target or '':<12} for {self.lasts:.2f} s"

    def begin(self, cluster):
        raise NotImplementedError

    def end(self, cluster):
        raise NotImplementedError

    def shard(self, cluster):
        return next(shard for shard in cluster.shards if shard.name == self.target)

    def start_again(self, cluster):
        """Starts the shard unless it runs."""
        shard = self.shard(cluster)
        if not shard.running():
            shard.start()


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


class Missing(Fault):
    """The shard dies, and for a while its checkpoint is not there when it starts."""

    name, duration = "missing", (2.0, 4.0)

    def begin(self, cluster):
        shard = self.shard(cluster)
        shard.kill()
        for file in cluster.checkpoint_files(shard).glob("*.safetensors"):
            file.rename(file.with_suffix(".away"))
        shard.start()  # it has to refuse, not to serve something else

    def end(self, cluster):
        for file in cluster.checkpoint_files(self.shard(cluster)).glob("*.away"):
            file.rename(file.with_suffix(".safetensors"))
        self.start_again(cluster)


class SlowDisk(Fault):
    """The shard dies, and has to load its units again from a disk that takes 50 ms for a read."""

    name, duration, needs = "slow-disk", (4.0, 8.0), "disks"
    read_s = 0.05

    def begin(self, cluster):
        self.shard(cluster).kill()
        cluster.disks[self.target].delay(self.read_s)
        self.shard(cluster).start()

    def end(self, cluster):
        cluster.disks[self.target].delay(0)


class Unreadable(SlowDisk):
    """The shard dies, and while it loads its units again reads of its checkpoint begin to fail."""

    name, duration = "unreadable", (6.0, 8.0)
    read_s = 0.01

    def begin(self, cluster):
        super().begin(cluster)
        shard, begun = self.shard(cluster), time.monotonic()
        # It serves once it has identified the checkpoint, and loads after that, which takes seconds
        # from a disk that remembers nothing.
        self._forget_until(cluster, lambda: shard.serving() or time.monotonic() > begun + self.lasts)
        fails_at = time.monotonic() + self.draw
        self._forget_until(cluster, lambda: time.monotonic() > fails_at)
        cluster.disks[self.target].fail()

    def _forget_until(self, cluster, condition):
        while not condition():
            cluster.disks[self.target].forget_pages()
            time.sleep(self.read_s)

    def end(self, cluster):
        super().end(cluster)
        self.start_again(cluster)


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

    name, duration, on_shard = "second-coordinator", (12.0, 25.0), False
    needs = "coordinator_relay"

    def begin(self, cluster):
        cluster.start_second_coordinator()

    def end(self, cluster):
        cluster.stop_second_coordinator()


class Cut(Fault):
    """Connections to a shard are reset."""

    name, duration, needs = "cut", (0.1, 0.1), "links"

    def begin(self, cluster):
        cluster.links[self.target].cut(True)

    def end(self, cluster):
        cluster.links[self.target].cut(False)


class Partition(Fault):
    """Nothing passes to or from a shard, and nobody is told."""

    name, duration, needs = "partition", (2.0, 10.0), "links"

    def begin(self, cluster):
        cluster.links[self.target].partition(True)

    def end(self, cluster):
        cluster.links[self.target].partition(False)


class Delay(Fault):
    """20 ms more in each direction to a shard."""

    name, duration, needs = "delay", (3.0, 10.0), "links"

    def begin(self, cluster):
        cluster.links[self.target].delay(0.02)

    def end(self, cluster):
        cluster.links[self.target].delay(0)


class Loss(Fault):
    """1 % of the packets to and from a shard are lost."""

    name, duration, needs = "loss", (3.0, 10.0), "packets"

    def begin(self, cluster):
        cluster.links[self.target].loss(0.01)

    def end(self, cluster):
        cluster.links[self.target].loss(0)


KINDS = {kind.name: kind for kind in (Kill, Stop, Terminate, Missing, SlowDisk, Unreadable,
                                      KillCoordinator, PauseCoordinator, SecondCoordinator, Cut,
                                      Partition, Delay, Loss)}


def parse_kinds(text):
    """[(kind, (least, most) seconds)] of "kill,stop:5": a fault with a number lasts exactly that."""
    kinds = []
    for item in text.split(","):
        name, _, seconds = item.partition(":")
        if name not in KINDS:
            raise ValueError(f"no fault is called '{name}'; there are {', '.join(KINDS)}")
        kinds.append((KINDS[name], (float(seconds),) * 2 if seconds else KINDS[name].duration))
    return kinds


def make_schedule(kinds, seed, duration_s, shards, gap_s, in_turn=False):
    """Random faults from `seed`, or one kind after the other as `kinds` lists them. Shards come one
    after the other with `gap_s` (from, to) between the end of a fault and the next; coordinator faults
    run beside them on a clock of their own."""
    schedule = []
    rng = random.Random(seed)
    for group in (True, False):
        choices = [choice for choice in kinds if choice[0].on_shard == group]
        turns = itertools.cycle(choices)
        at = rng.uniform(*gap_s)
        while choices and at < duration_s:
            kind, lasts = next(turns) if in_turn else rng.choice(choices)
            target = f"shard-{rng.randrange(shards) + 1}" if group else None
            fault = kind(at, rng.uniform(*lasts), target, rng.random())
            schedule.append(fault)
            at += fault.lasts + rng.uniform(*gap_s)
    return sorted(schedule, key=lambda fault: fault.at)


def play(schedule, cluster, log, duration_s):
    """Carries the schedule out in real time; everything is undone when it returns, which is after
    `duration_s` at the earliest."""
    steps = [(fault.at, fault.begin, fault) for fault in schedule]
    steps += [(fault.at + fault.lasts, fault.end, fault) for fault in schedule]
    start = time.monotonic()
    for at, act, fault in sorted(steps, key=lambda step: step[0]):
        time.sleep(max(0.0, start + at - time.monotonic()))
        if act == fault.begin:
            log(str(fault))
        act(cluster)
    time.sleep(max(0.0, start + duration_s - time.monotonic()))
