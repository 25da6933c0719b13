"""The processes of a cluster under test: started directly, so that each can be killed, paused and
started again on its own address without a supervisor stepping in."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
START_TIMEOUT_S = 120


class Process:
    """One program, over all its incarnations. `address_flags`: {"grpc": "--listen"}, given with the
    address of the first start from the second start on."""

    def __init__(self, name, program, flags, folder, address_flags):
        self.name = name
        self._command = [str(BIN / program), *flags]
        self._folder = folder
        self._address_flags = address_flags
        self._process = None
        self.addresses = {}
        self.starts = 0

    def start(self):
        """Starts the process and returns at once."""
        self.starts += 1
        self._address_file = self._folder / f"{self.name}.{self.starts}.json"
        command = [*self._command, f"--address-file={self._address_file}"]
        for kind, flag in self._address_flags.items():
            command.append(f"{flag}={self.addresses.get(kind, '127.0.0.1:0')}")
        with open(self._folder / f"{self.name}.log", "ab") as log:
            # A session of its own: a signal to the harness must not reach it by way of the terminal.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def await_addresses(self):
        end = time.monotonic() + START_TIMEOUT_S
        while not self._address_file.exists():
            if not self.running():
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not serve")
            time.sleep(0.02)
        self.addresses = json.loads(self._address_file.read_text(encoding="utf-8"))
        return self

    def running(self):
        return self._process is not None and self._process.poll() is None

    def kill(self):
        if self.running():
            self._process.kill()
            self._process.wait()

    def pause(self):
        if self.running():
            self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        if self.running():
            self._process.send_signal(signal.SIGCONT)

    def terminate(self, timeout_s=40):
        """SIGTERM; returns the exit code, or None when it had to be killed."""
        if not self.running():
            return self._process.returncode if self._process else 0
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


class Cluster:
    """A coordinator, shards on labelled nodes, and a router; use as a context manager. With
    `relay_factory` every connection to shards and to the coordinator goes through a relay (relay.py), which
    can then cut and delay it."""

    def __init__(self, folder, model, shards=4, nodes=2, replicas=2, relay_factory=None, flags=()):
        self.folder = pathlib.Path(folder)
        self.model = pathlib.Path(model).resolve()
        self._flags = list(flags)
        self._nodes = nodes
        self._relay_factory = relay_factory
        self.relays = {}
        self.shards = []
        self._coordinator_flags = [f"--replicas={replicas}", f"--expect-shards={shards}"]
        self.coordinator = self._make_coordinator("coordinator")
        self.second_coordinator = None
        self._shard_count = shards
        self.router = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self.coordinator.start().await_addresses()
        coordinator = self._relayed("coordinator", self.coordinator.addresses["grpc"])
        for index in range(self._shard_count):
            self.shards.append(self._make_shard(index, coordinator))
        for shard in self.shards:
            shard.await_addresses()
            if self._relay_factory:
                self.relays[shard.name].connect_to(shard.addresses["grpc"])
        self.router = Process(
            "router", "moesaic-router",
            [f"--model={self.model}", "--name=router-1", f"--coordinator={coordinator}",
             f"--state-dir={self.folder / 'router-state'}", *self._flags],
            self.folder, {"http": "--http-listen", "grpc": "--listen"})
        self.router.start().await_addresses()

    def _make_coordinator(self, name):
        return Process(name, "moesaic-coordinator", self._coordinator_flags, self.folder,
                       {"grpc": "--listen"})

    def start_second_coordinator(self):
        """Another coordinator that knows nothing of the first; shards and routers connect to either,
        as the relay happens to send them."""
        self.second_coordinator = self._make_coordinator("coordinator-2").start().await_addresses()
        relay = self.relays["coordinator"]
        relay.connect_to(self.second_coordinator.addresses["grpc"], self.coordinator.addresses["grpc"])
        relay.cut()

    def stop_second_coordinator(self):
        relay = self.relays["coordinator"]
        relay.connect_to(self.coordinator.addresses["grpc"])
        self.second_coordinator.kill()
        relay.cut()

    def _relayed(self, name, address):
        if not self._relay_factory:
            return address
        self.relays[name] = self._relay_factory()
        if address:
            self.relays[name].connect_to(address)
        return self.relays[name].address

    def _make_shard(self, index, coordinator):
        name = f"shard-{index + 1}"
        # A folder of its own, so that its checkpoint can become unreadable for it alone.
        model = self.folder / f"{name}-model" / self.model.name
        model.mkdir(parents=True)
        for file in self.model.iterdir():
            if file.is_file():
                shutil.copy2(file, model / file.name)
        flags = [f"--model={model}", f"--name={name}", f"--node=node-{index % self._nodes + 1}",
                 f"--coordinator={coordinator}", f"--state-dir={self.folder / name}",
                 "--shutdown-grace-s=10", *self._flags]
        if self._relay_factory:
            flags.append(f"--advertise={self._relayed(name, None)}")
        shard = Process(name, "moesaic-shard", flags, self.folder, {"grpc": "--listen"})
        shard.model = model
        return shard.start()

    @property
    def url(self):
        return self.router.addresses["http"]

    def processes(self):
        everybody = (self.router, *self.shards, self.coordinator, self.second_coordinator)
        return [process for process in everybody if process is not None]

    def log_tail(self, lines=15):
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()
            parts.append(f"--- {path.name}\n" + "\n".join(text[-lines:]))
        return "\n".join(parts)

    def __exit__(self, *_):
        for process in self.processes():
            process.resume()
            process.kill()
        for relay in self.relays.values():
            relay.close()
