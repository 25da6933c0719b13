"""The cluster that is to be broken: its processes, and what stands between them and their network and
disks."""
import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
import json

from netns import HUB, Network
from processes import BIN, ROOT, Process
from relay import RelayLoop
from slow_disk import Disk

STATUS_TIMEOUT_S = 30


@dataclasses.dataclass
class Setup:
    """What a cluster consists of."""

    model: str = str(ROOT / "models/demo")
    shards: int = 4
    nodes: int = 2  # labels, given to the shards in turn
    replicas: int = 2
    routers: int = 1
    # Between a shard and the others: "direct", "relays" (relay.py) or "namespaces" (netns.py).
    network: str = "direct"
    coordinator_relay: bool = False  # so that a second coordinator can take some of the connections
    disks: bool = False  # each shard's checkpoint lies on a disk of slow_disk.py
    flags: tuple = ()  # of routers and shards


class Cluster:
    """A coordinator, shards on labelled nodes, and routers; use as a context manager. `links` has what
    can break a shard's connections, `disks` what can break its disk, by name of the shard."""

    def __init__(self, folder, setup):
        self.folder = pathlib.Path(folder)
        self.setup = setup
        self.model = pathlib.Path(setup.model).resolve()
        self.links = {}
        self.disks = {}
        self.shards = []
        self.routers = []
        self.coordinator = None
        self.second_coordinator = None
        self.coordinator_address = None
        self._relays = None
        self._network = None
        self._coordinator_relay = None
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        with self._undo:  # of what was done when a step fails
            self._start()
            self._undo = self._undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _start(self):
        if self.setup.network == "namespaces":
            self._network = self._undo.enter_context(Network())
        if self.setup.network == "relays" or self.setup.coordinator_relay:
            self._relays = RelayLoop()
            self._undo.callback(self._relays.close)
        self.coordinator = self._make_coordinator("coordinator").start().await_addresses()
        self.coordinator_address = self.coordinator.addresses["grpc"]
        if self.setup.coordinator_relay:
            self._coordinator_relay = self._make_relay(self._hub_host)
            self._coordinator_relay.connect_to(self.coordinator_address)
            self.coordinator_address = self._coordinator_relay.address
        for _ in range(self.setup.shards):
            self.add_shard()
        for shard in self.shards:
            self.await_shard(shard)
        for _ in range(self.setup.routers):
            self.routers.append(self.make_router(f"router-{len(self.routers) + 1}").start())
        for router in self.routers:
            router.await_addresses()

    @property
    def _hub_host(self):
        """Where the others listen for the shards."""
        return HUB if self._network else "127.0.0.1"

    def _make_process(self, *arguments, **named):
        process = Process(*arguments, **named)
        self._undo.callback(process.kill)
        return process

    def _make_relay(self, host="127.0.0.1"):
        relay = self._relays.relay(host)
        self._undo.callback(relay.close)
        return relay

    def _make_coordinator(self, name):
        flags = [f"--replicas={self.setup.replicas}", f"--expect-shards={self.setup.shards}",
                 *self._beyond_loopback()]
        return self._make_process(name, "moesaic-coordinator", flags, self.folder,
                                  {"grpc": "--listen"}, host=self._hub_host)

    def _beyond_loopback(self):
        return ["--insecure"] if self._network else []

    def make_router(self, name, prefix=()):
        """A router; the caller starts it."""
        flags = [f"--model={self.model}", f"--name={name}",
                 f"--coordinator={self.coordinator_address}",
                 f"--state-dir={self.folder / name}", *self.setup.flags]
        return self._make_process(name, "moesaic-router", flags, self.folder,
                                  {"http": "--http-listen", "grpc": "--listen"}, prefix=prefix)

    def add_shard(self):
        """Starts one more shard; await_shard makes it reachable."""
        index = len(self.shards)
        name = f"shard-{index + 1}"
        flags = [f"--model={self._checkpoint_for(name)}", f"--name={name}",
                 f"--node=node-{index % self.setup.nodes + 1}",
                 f"--coordinator={self.coordinator_address}", f"--state-dir={self.folder / name}",
                 "--shutdown-grace-s=10", *self._beyond_loopback(), *self.setup.flags]
        place = {}
        if self.setup.network == "namespaces":
            link = self.links[name] = self._network.link(name)
            place = {"host": link.host, "prefix": link.prefix}
        elif self.setup.network == "relays":
            self.links[name] = self._make_relay()
            flags.append(f"--advertise={self.links[name].address}")
        shard = self._make_process(name, "moesaic-shard", flags, self.folder, {"grpc": "--listen"},
                                   **place)
        self.shards.append(shard.start())
        return shard

    def await_shard(self, shard):
        shard.await_addresses()
        if self.setup.network == "relays":
            self.links[shard.name].connect_to(shard.addresses["grpc"])

    def checkpoint_files(self, shard):
        """The folder that holds the checkpoint of that shard alone."""
        return self.folder / f"{shard.name}-files" / self.model.name

    def _checkpoint_for(self, name):
        """A copy of the checkpoint for one shard, so that it can become unreadable for it alone."""
        files = self.folder / f"{name}-files" / self.model.name
        if not files.exists():
            files.mkdir(parents=True)
            for file in self.model.iterdir():
                if file.is_file():
                    shutil.copy2(file, files / file.name)
        if not self.setup.disks:
            return files
        if name not in self.disks:
            mountpoint = self.folder / f"{name}-disk" / self.model.name
            mountpoint.mkdir(parents=True)
            disk = self.disks[name] = Disk(files, mountpoint, self.folder / f"{name}-disk.control")
            self._undo.callback(disk.close)
        return self.disks[name].mountpoint

    def start_second_coordinator(self):
        """Another coordinator that knows nothing of the first; shards and routers connect to either,
        as the relay happens to send them."""
        self.second_coordinator = self._make_coordinator("coordinator-2").start().await_addresses()
        self._send_to_coordinators(self.second_coordinator, self.coordinator)

    def stop_second_coordinator(self):
        self._send_to_coordinators(self.coordinator)
        self.second_coordinator.kill()

    def _send_to_coordinators(self, *coordinators):
        relay = self._coordinator_relay
        relay.connect_to(*(coordinator.addresses["grpc"] for coordinator in coordinators))
        relay.cut(True)
        relay.cut(False)

    def moesaic(self, command, *arguments, timeout_s=STATUS_TIMEOUT_S):
        """Runs the command line against the coordinator; returns the finished process."""
        return subprocess.run(
            [str(BIN / "moesaic"), command, *arguments, f"--coordinator={self.coordinator_address}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)

    def status(self):
        """DescribeCluster; None when the coordinator does not answer."""
        done = self.moesaic("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    @property
    def url(self):
        return self.routers[0].addresses["http"]

    def log_tail(self, lines=15):
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()
            parts.append(f"--- {path.name}\n" + "\n".join(text[-lines:]))
        return "\n".join(parts)
