"""Concurrent streams at temperature 0, each compared byte for byte with the undisturbed answer."""
import collections
import http.client
import itertools
import json
import random
import threading
import time

REQUEST_TIMEOUT_S = 300


class Answer:
    """What one request brought: its text and log-probabilities, and when each chunk came."""

    def __init__(self):
        self.text = ""
        self.logprobs = []
        self.finish_reason = None
        self.times = []

    def content(self):
        return self.text, tuple(self.logprobs), self.finish_reason

    def longest(self):
        """The longest gap and the wall time at its end."""
        to_wall = time.time() - time.monotonic()
        ends = zip(self.gaps(), (end + to_wall for end in self.times[1:]))
        return max(ends, default=(0.0, 0.0))

    def gaps(self):
        return [later - earlier for earlier, later in zip(self.times, self.times[1:])]


def make_prompts(count, seed, vocab):
    """Token prompts of many lengths; the same for the same seed."""
    rng = random.Random(seed)
    return [[rng.randrange(2, vocab) for _ in range(rng.choice((4, 17, 40, 120)))]
            for _ in range(count)]


class NotAccepted(Exception):
    """The router was not there, or said that it takes no new requests: another may be asked. `why`:
    "connection" or "status 503"."""

    def __init__(self, why, details):
        super().__init__(f"{why}: {details}")
        self.why = why


class Directory:
    """The addresses of the routers, and which of them to ask: what a load balancer does that looks at
    /readyz before each request."""

    def __init__(self, routers):
        """`routers`: functions that return an address."""
        self._routers = routers
        self._turn = itertools.count()

    def choose(self):
        """The next router that is ready; any when none is, or there is one only."""
        for _ in range(len(self._routers)):
            address = self._next()
            if len(self._routers) == 1 or is_ready(address):
                return address
        return self._next()

    def _next(self):
        return self._routers[next(self._turn) % len(self._routers)]()


def is_ready(address):
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stream(address, prompt, max_tokens):
    """One streamed completion. Raises when anything but a complete answer comes: NotAccepted before
    the router has begun to answer."""
    answer = Answer()
    body = json.dumps({"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "stream": True,
                       "ignore_eos": True, "logprobs": 1})
    connection = http.client.HTTPConnection(address, timeout=REQUEST_TIMEOUT_S)
    try:
        try:
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NotAccepted("connection", repr(error)) from error
        if response.status == 503:
            raise NotAccepted("status 503", response.read(500))
        if response.status != 200:
            raise RuntimeError(f"status {response.status}: {response.read(500)!r}")
        for line in response:
            if not line.startswith(b"data: "):
                continue
            payload = line[len(b"data: "):].strip()
            if payload == b"[DONE]":
                break
            take_chunk(answer, json.loads(payload))
    finally:
        connection.close()
    if answer.finish_reason is None:
        raise RuntimeError("the stream ended without a finish reason")
    return answer


def take_chunk(answer, chunk):
    if "error" in chunk:
        raise RuntimeError(f"error in the stream: {chunk['error']}")
    answer.times.append(time.monotonic())
    for choice in chunk.get("choices", ()):
        answer.text += choice.get("text", "")
        if choice.get("logprobs"):
            answer.logprobs.extend(choice["logprobs"].get("token_logprobs") or ())
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason


class Load:
    """`len(prompts)` clients, each asking its own prompt again and again until told to stop.
    `directory`: whom to ask. `retry_s`: for so long a request that no router has accepted is sent
    again, which counts in `not_accepted`; otherwise it has failed."""

    def __init__(self, directory, prompts, max_tokens, expected=None, retry_s=0):
        self._directory = directory
        self._retry_s = retry_s
        self._prompts = prompts
        self._max_tokens = max_tokens
        self.expected = expected or [None] * len(prompts)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.requests = 0
        self.not_accepted = collections.Counter()
        self.failures = []
        self.gaps = []
        self.longest = (0.0, 0.0)  # length of the longest gap, and when it ended (wall time)
        self.first_token_s = []

    def run_once(self):
        """Every prompt once, together; what comes is what is expected from then on."""
        self._run(once=True)
        return self

    def start(self):
        self._threads = self._spawn(once=False)
        return self

    def finish(self):
        """No new requests; waits for those in progress."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, once):
        for thread in self._spawn(once):
            thread.join()

    def _spawn(self, once):
        threads = [threading.Thread(target=self._client, args=(index, once), daemon=True)
                   for index in range(len(self._prompts))]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, index, once):
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                answer = self._ask(index, begun + self._retry_s)
                problem = self._compare(index, answer)
            except Exception as error:  # whatever it is, the client has not got its answer
                answer, problem = None, f"{type(error).__name__}: {error}"
            with self._lock:
                self.requests += 1
                if problem:
                    self.failures.append({"client": index, "at": time.time(), "problem": problem})
                if answer is not None:
                    self.gaps.extend(answer.gaps())
                    self.longest = max(self.longest, answer.longest())
                    self.first_token_s.append(answer.times[0] - begun)
            if once:
                return
            if problem:
                time.sleep(0.2)  # a router that is down refuses thousands a second

    def _ask(self, index, until):
        while True:
            try:
                return stream(self._directory.choose(), self._prompts[index], self._max_tokens)
            except NotAccepted as refused:
                if time.monotonic() >= until:
                    raise
                with self._lock:
                    self.not_accepted[refused.why] += 1
                time.sleep(0.02)

    def _compare(self, index, answer):
        if self.expected[index] is None:
            self.expected[index] = answer.content()
        if self.expected[index] == answer.content():
            return None
        return "the answer differs from that of the undisturbed run"


def quantile(values, q):
    """The value below which a share q of the values lies; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0
