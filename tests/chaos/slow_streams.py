#!/usr/bin/env python3
"""Ten thousand slow clients on a router, and eight streams that work meanwhile.

  tests/chaos/slow_streams.py [--streams 10000] [--seconds 20] [--model DIR]

Starts a cluster and measures eight active streams alone, then beside as many slow connections of
four kinds: streams that have been answered and are not read, connections that are kept alive and
idle, headers that come a few bytes at a time, and streams that wait in the queue. Prints the router's
memory per connection of each kind (the difference of its resident bytes) and the latency of the
active streams, both times. Fails when an active stream does, or when a slow one cannot be opened.
"""
import argparse
import contextlib
import json
import pathlib
import resource
import selectors
import socket
import statistics
import sys
import threading
import time
from urllib.parse import urlsplit

import httpx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from cluster import Cluster  # noqa: E402

ACTIVE = 8
# Waves in which unread streams are opened: no more than the engine takes at a time.
WAVE = 64


def completion(max_tokens):
    body = json.dumps({"prompt": [5, 6, 7], "max_tokens": max_tokens, "ignore_eos": True,
                       "stream": True}).encode()
    return (b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(body)) + body


class SlowClients:
    """Connections that are opened and then hardly touched. Close them when done."""

    def __init__(self, url):
        address = urlsplit(url)
        self.target = (address.hostname, address.port)
        self.held = []
        self.slow_headers = []

    def _open(self, first_bytes):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        # A source address has 28 000 ports.
        connection.bind((f"127.0.0.{2 + len(self.held) % 8}", 0))
        connection.settimeout(60)
        connection.connect(self.target)
        connection.sendall(first_bytes)
        self.held.append(connection)
        return connection

    def open_unread(self, count):
        """Streams that are answered; their clients read the first bytes and no more."""
        for start in range(0, count, WAVE):
            wave = [self._open(completion(2)) for _ in range(min(WAVE, count - start))]
            for connection in wave:
                assert connection.recv(12) == b"HTTP/1.1 200", "an unread stream was refused"

    def open_idle(self, count):
        for _ in range(count):
            connection = self._open(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200"), "an idle client was refused"

    def open_headers(self, count):
        self.slow_headers = [self._open(b"GET /health HTTP/1.1\r\n") for _ in range(count)]

    def feed_headers(self):
        """A few bytes more for each; those that the router has cut off come again."""
        for i, connection in enumerate(self.slow_headers):
            with contextlib.suppress(OSError):
                connection.sendall(b"x: y\r\n")
                connection.setblocking(False)
                try:
                    gone = connection.recv(4096)
                except BlockingIOError:
                    connection.settimeout(60)
                    continue
                assert not gone or gone.startswith(b"HTTP/1.1 408"), gone
            self.held.remove(connection)
            connection.close()
            self.slow_headers[i] = self._open(b"GET /health HTTP/1.1\r\n")

    def open_queued(self, count):
        """Streams that have to wait for a place in the engine."""
        for _ in range(count):
            self._open(completion(1000))

    def closed(self):
        """How many the router has closed, or answered beyond what was read."""
        with selectors.DefaultSelector() as selector:
            for connection in self.held:
                selector.register(connection, selectors.EVENT_READ)
            ended = 0
            for key, _ in selector.select(0):
                key.fileobj.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    try:
                        ended += key.fileobj.recv(1, socket.MSG_PEEK) == b""
                    except ConnectionResetError:
                        ended += 1
            return ended

    def close(self):
        for connection in self.held:
            connection.close()
        self.held = []
        self.slow_headers = []


class ActiveStream(threading.Thread):
    """A stream that is read as it comes; its first delay and the gaps between its tokens."""

    def __init__(self, url, max_tokens, stop):
        super().__init__()
        self.url = url
        self.max_tokens = max_tokens
        self.stop = stop
        self.gaps = []
        self.error = None

    def run(self):
        try:
            with httpx.Client(base_url=self.url, timeout=120) as client:
                while not self.stop.is_set():
                    self._one(client)
        except Exception as error:  # noqa: BLE001: reported by the caller
            self.error = error

    def _one(self, client):
        body = {"prompt": [5, 6, 7], "max_tokens": self.max_tokens, "ignore_eos": True, "stream": True}
        with client.stream("POST", "/v1/completions", json=body) as response:
            assert response.status_code == 200, response.read()
            last = None
            for line in response.iter_lines():
                if not line.startswith("data: "):
                    continue
                now = time.monotonic()
                if last is not None:
                    self.gaps.append(now - last)
                last = now
                if self.stop.is_set():
                    return  # leaves; the rest is cancelled
            assert self.stop.is_set() or line == "data: [DONE]" or line == "", line


@contextlib.contextmanager
def active_streams(url, max_tokens, report, name):
    """Runs the active streams while the body runs; `report` gets their figures."""
    stop = threading.Event()
    streams = [ActiveStream(url, max_tokens, stop) for _ in range(ACTIVE)]
    for stream in streams:
        stream.start()
    try:
        time.sleep(0.5)
        yield
    finally:
        stop.set()
        for stream in streams:
            stream.join()
    errors = [stream.error for stream in streams if stream.error]
    assert not errors, f"{name}: {len(errors)} of {ACTIVE} active streams failed: {errors[0]}"
    gaps = sorted(gap for stream in streams for gap in stream.gaps)
    assert len(gaps) > 20, f"{name}: only {len(gaps)} tokens"
    report[name] = {"tokens": len(gaps), "gap_ms_p50": 1e3 * statistics.median(gaps),
                    "gap_ms_p99": 1e3 * gaps[int(0.99 * len(gaps))]}


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def threads(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))


def measure(cluster, streams, seconds):
    """The report: memory per connection by kind, and the active streams' gaps."""
    pid = next(child["pid"] for child in cluster.state()["children"]
               if child["name"].startswith("router"))
    report = {"streams": streams}
    with active_streams(cluster.url, 3000, report, "alone"):
        time.sleep(seconds)
    slow = SlowClients(cluster.url)
    report["threads_before"] = threads(pid)
    memory = {}

    def open_kind(name, opener, count):
        before = resident_bytes(pid)
        opener(count)
        memory[name] = {"count": count, "bytes_each": (resident_bytes(pid) - before) // count}

    start = resident_bytes(pid)
    try:
        # The unread ones first: once the active streams have the engine nothing else gets in.
        open_kind("unread", slow.open_unread, streams // 4)
        with active_streams(cluster.url, 3000, report, "beside slow ones"):
            open_kind("queued", slow.open_queued, streams // 2)
            open_kind("slow header", slow.open_headers, streams // 8)
            open_kind("idle", slow.open_idle, streams - len(slow.held))
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                slow.feed_headers()
                time.sleep(2)
            report["open"] = len(slow.held) - slow.closed()
            report["threads_beside"] = threads(pid)
            report["bytes_each"] = (resident_bytes(pid) - start) // streams
    finally:
        slow.close()
    report["memory"] = memory
    assert cluster.http.get("/health").status_code == 200
    cluster.complete(prompt=[5, 6, 7], max_tokens=2)
    cluster.assert_alive()
    return report


def start_cluster(model, streams):
    """With as many places in the engine as there are active streams, and a queue for the others."""
    return Cluster(model, shards=2, compute_dtype="f32", max_num_seqs=ACTIVE, max_queue=2 * streams)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--model", type=pathlib.Path)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < options.streams + 256:
        sys.exit(f"the limit of file descriptors is {hard}")
    model = options.model
    if model is None:
        from golden import checkpoint
        model = checkpoint("olmoe")
    with start_cluster(model, options.streams) as cluster:
        print(json.dumps(measure(cluster, options.streams, options.seconds), indent=2))


if __name__ == "__main__":
    main()
