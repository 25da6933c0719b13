"""A local Moesaic cluster for tests: real processes, real sockets, started by `moesaic up`."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
# Sanitizers and a busy machine make everything slower; nothing waits this long when it works.
START_TIMEOUT_S = 180
REQUEST_TIMEOUT_S = 300


def alive(pid):
    """Whether a process exists and is no zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(condition, timeout_s=60, what="condition"):
    """Polls until `condition()` is true and returns its value."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s} s")


class Cluster:
    """`moesaic up` with the given flags; use as a context manager."""

    def __init__(self, model, shards=2, binaries=BIN, **flags):
        self.binaries = binaries
        self._state = tempfile.TemporaryDirectory(prefix="moesaic-test-")
        self.state_dir = pathlib.Path(self._state.name)
        self.arguments = [str(binaries / "moesaic"), "up", f"--model={model}", f"--shards={shards}",
                          "--http-port=0", f"--state-dir={self.state_dir}"]
        # Only the tests of the metrics want one.
        flags.setdefault("prometheus", "off")
        for name, value in flags.items():
            self.arguments.append(f"--{name.replace('_', '-')}={value}")
        self.process = None
        self.pids = []

    def __enter__(self):
        self.output = open(self.state_dir / "up.log", "w+", encoding="utf-8")
        # A session of its own, so that a test can interrupt it like a terminal would.
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until(self._ready, START_TIMEOUT_S, "cluster ready")
        except BaseException:
            print(self.logs())
            self.stop()
            raise
        self.pids = [child["pid"] for child in self.state()["children"]]
        self.http = httpx.Client(base_url=self.url, timeout=REQUEST_TIMEOUT_S)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"moesaic up ended with {self.process.returncode}")
        return "\nready: " in "\n" + self.up_log()

    def up_log(self):
        return (self.state_dir / "up.log").read_text(encoding="utf-8")

    def logs(self):
        parts = [self.up_log()]
        for path in sorted((self.state_dir / "logs").glob("*.log")):
            parts.append(f"--- {path.name}\n{path.read_text(encoding='utf-8', errors='replace')}")
        return "\n".join(parts)

    def state(self):
        return json.loads((self.state_dir / "cluster.json").read_text(encoding="utf-8"))

    def child(self, name):
        return next(child for child in self.state()["children"] if child["name"] == name)

    @property
    def url(self):
        return self.state()["http"]

    def status(self):
        """DescribeCluster as `moesaic status --json` prints it."""
        done = run("status", "--json", "--state-dir", self.state_dir, binaries=self.binaries)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def expert_rows(self):
        """Expert rows by shard, as of its last heartbeat."""
        return {shard["placed"]["shard"]: int(shard["expert_rows_total"])
                for shard in self.status()["shards"]}

    def complete(self, **body):
        response = self.http.post("/v1/completions", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def prompt_logprobs(self, ids):
        """Log-probability of each prompt token but the first, [tokens - 1]."""
        answer = self.complete(prompt=ids, echo=True, logprobs=1, max_tokens=0)
        return answer["choices"][0]["logprobs"]["token_logprobs"][1:]

    def assert_alive(self):
        """Every process is the one that was started."""
        assert self.process.poll() is None
        now = {child["name"]: child["pid"] for child in self.state()["children"]}
        assert sorted(now.values()) == sorted(self.pids), "a process was restarted"
        assert all(alive(pid) for pid in self.pids)

    def stop(self, stop_signal=signal.SIGTERM):
        """Stops the cluster and returns the exit code of `moesaic up`."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(stop_signal)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def __exit__(self, *failure):
        if failure[0] is not None:
            print(self.logs())
        code = self.stop()
        self.http.close()
        self.output.close()
        self._state.cleanup()
        if failure[0] is None:
            assert code == 0, f"moesaic up ended with {code}"
            wait_until(lambda: not any(alive(pid) for pid in self.pids), 30, "no orphan left")


def run(*arguments, timeout_s=120, binaries=BIN):
    """Runs the moesaic command line to its end."""
    return subprocess.run([str(binaries / "moesaic"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout_s)
