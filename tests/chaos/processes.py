"""A process of a cluster under test: started directly, so that it can be killed, paused and started
again on its own address without a supervisor stepping in."""
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
START_TIMEOUT_S = 120


class Process:
    """One program, over all its incarnations. `address_flags`: {"grpc": "--listen"}, given with the
    address of the first start from the second start on. `host`: where it listens. `prefix`: a
    command that runs the program, such as nice."""

    def __init__(self, name, program, flags, folder, address_flags, host="127.0.0.1", prefix=()):
        self.name = name
        self._command = [*prefix, str(BIN / program), *flags]
        self._folder = folder
        self._host = host
        self._address_flags = address_flags
        self._process = None
        self._told_to_end = False
        self.addresses = {}
        self.starts = 0
        # Exit codes of incarnations that ended without being told to.
        self.died = []

    def start(self):
        """Starts the process and returns at once."""
        if self.exit_code() is not None and not self._told_to_end:
            self.died.append(self.exit_code())
        self._told_to_end = False
        self.starts += 1
        self._address_file = self._folder / f"{self.name}.{self.starts}.json"
        command = [*self._command, f"--address-file={self._address_file}"]
        for kind, flag in self._address_flags.items():
            command.append(f"{flag}={self.addresses.get(kind, f'{self._host}:0')}")
        with open(self._folder / f"{self.name}.log", "ab") as log:
            # A session of its own: a signal to the harness must not reach it by way of the terminal.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def await_addresses(self):
        end = time.monotonic() + START_TIMEOUT_S
        while not self.serving():
            if not self.running():
                raise RuntimeError(f"{self.name} ended with {self.exit_code()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not serve")
            time.sleep(0.02)
        self.addresses = json.loads(self._address_file.read_text(encoding="utf-8"))
        return self

    def serving(self):
        """Whether the last incarnation has bound its addresses."""
        return self._address_file.exists()

    def running(self):
        return self._process is not None and self._process.poll() is None

    def exit_code(self):
        """Of the last incarnation; the negative signal number when that ended it, None before."""
        return self._process.poll() if self._process else None

    def kill(self):
        if self.running():
            self._told_to_end = True
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
            return self.exit_code() or 0
        self._told_to_end = True
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
