#!/usr/bin/env python3
"""What metrics and tracing cost: processor seconds of all processes per generated token, with and without.

    cmake --build --preset release --target programs unmetered
    .venv/bin/python bench/overhead_check.py [--pairs 20] [--cycles 3] [--json FILE]

With: the programs as they are, every process scraped every two seconds, timelines kept, every request
sampled by its caller (so that shards are told of it too), the request log on. Without: the programs
linked with a registry that keeps nothing (bench/unmetered_registry.cc), not scraped, no timelines, no
trace from the caller, only warnings logged. Everything else is the same code and the same load: the demo
model on two shards, eight clients that stream one answer after another.

A pair is a fresh cluster of each kind, so that what differs from one process to the next (addresses, which
thread came first) averages out too. They take turns of a third of a second or so, one idle while the other
works, in the order 1 2 2 1 2 1 1 2, and every other pair the other way round: whatever else the machine is
doing meets both alike. The load generator's own time does not count. Prints a line of text, and writes all pairs
as JSON where asked.
"""
import argparse
import asyncio
import contextlib
import json
import math
import pathlib
import secrets
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "integration"))

from cluster import BIN, Cluster  # noqa: E402

CLIENTS = 8
ANSWER_TOKENS = 64
# Each client asks once in a turn, so that all turns have the same batches.
TURNS = (0, 1, 1, 0, 1, 0, 0, 1)
SCRAPE_S = 2
# The same placement in every run: speeds are not measured at the start, nothing is moved later.
SAME = {"shards": 2, "calibration_ms": 0, "rebalance_interval_s": 0, "ledger": "none"}
WITH, WITHOUT = "with", "without"
SIDES = {
    WITH: {"binaries": BIN, "log_level": "info"},
    WITHOUT: {"binaries": BIN / "unmetered", "log_level": "warning", "trace_memory_bytes": 0},
}


def cpu_seconds(pids):
    """User and system time of processes, all their threads. The sum of utime and stime of /proc/PID/stat, but
    in nanoseconds instead of hundredths: the clock of another process, as clock_getcpuclockid(3) names it."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


async def exchange(address, head, body=b""):
    """One request on a connection of its own; the whole answer. As little work as can be: it shares the
    processors with what it measures."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    try:
        writer.write(f"{head}\r\nHost: {address}\r\nConnection: close\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read(-1)
    finally:
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{head.splitlines()[0]}: {answer[:200]!r}")
    return answer


class Side:
    """A cluster and what it has used."""

    def __init__(self, name, cluster):
        self.name, self.pids = name, cluster.pids
        self.router = cluster.child("router-1")["http"]
        self.addresses = [child["http"] for child in cluster.state()["children"]]
        self.until_scrape = SCRAPE_S / 2  # of its own time at work
        self.scrapes = self.tokens = 0
        self.cpu_seconds = self.seconds = 0.0

    async def scrape(self):
        """Every two seconds, until cancelled."""
        while True:
            started = time.monotonic()
            try:
                await asyncio.sleep(self.until_scrape)
            finally:
                self.until_scrape -= time.monotonic() - started
            self.until_scrape += SCRAPE_S
            self.scrapes += 1
            for address in self.addresses:
                if b"moesaic_build_info" not in await exchange(address, "GET /metrics HTTP/1.1"):
                    raise RuntimeError(f"{address} serves no metrics")

    async def turn(self):
        """Generates, and counts."""
        started, before = time.monotonic(), cpu_seconds(self.pids)
        if self.name == WITH:
            scraper = asyncio.create_task(self.scrape())
            self.tokens += await generate(self.router, sampled=True)
            scraper.cancel()
            await asyncio.wait([scraper])
            if not scraper.cancelled():
                scraper.result()
        else:
            self.tokens += await generate(self.router, sampled=False)
        self.cpu_seconds += cpu_seconds(self.pids) - before
        self.seconds += time.monotonic() - started

    def result(self):
        return {"tokens": self.tokens, "cpu_seconds": round(self.cpu_seconds, 3),
                "seconds": round(self.seconds, 3), "scrapes": self.scrapes,
                "cpu_us_per_token": round(1e6 * self.cpu_seconds / self.tokens, 2)}


async def generate(address, sampled):
    """Eight clients have an answer each; how many tokens that is."""

    async def ask(number):
        body = json.dumps({"prompt": [10 + (number * 7 + i * 13) % 190 for i in range(24)],
                           "max_tokens": ANSWER_TOKENS, "ignore_eos": True, "stream": True,
                           "temperature": 0, "stream_options": {"include_usage": True}}).encode()
        trace = f"\r\ntraceparent: 00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01" if sampled else ""
        answer = await exchange(address, "POST /v1/completions HTTP/1.1\r\n"
                                         f"Content-Type: application/json{trace}", body)
        if f'"completion_tokens":{ANSWER_TOKENS}'.encode() not in answer.replace(b" ", b""):
            raise RuntimeError(f"not {ANSWER_TOKENS} tokens: {answer[-300:]!r}")

    await asyncio.gather(*(ask(number) for number in range(CLIENTS)))
    return CLIENTS * ANSWER_TOKENS


async def take_turns(sides, cycles):
    for side in sides:  # so that every thread has run and every page is there
        await generate(side.router, sampled=side.name == WITH)
    for which in TURNS * cycles:
        await sides[which].turn()


def run_pair(order, cycles):
    with contextlib.ExitStack() as clusters:
        sides = [Side(name, clusters.enter_context(Cluster(ROOT / "models" / "demo", **SAME, **SIDES[name])))
                 for name in order]
        asyncio.run(take_turns(sides, cycles))
    return {side.name: side.result() for side in sides}


def t_quantile_975(freedom):
    """Of Student's distribution: Cornish and Fisher's expansion around the normal one. 1 % low at three
    degrees of freedom, exact to three digits from nine on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return (z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3))


def summarise(pairs):
    """Overhead as a share of the time without, from the differences of pairs."""
    without = statistics.mean(pair[WITHOUT]["cpu_us_per_token"] for pair in pairs)
    differences = [pair[WITH]["cpu_us_per_token"] - pair[WITHOUT]["cpu_us_per_token"] for pair in pairs]
    mean = statistics.mean(differences)
    margin = t_quantile_975(len(pairs) - 1) * statistics.stdev(differences) / math.sqrt(len(pairs))
    ratios = [pair[WITH]["cpu_us_per_token"] / pair[WITHOUT]["cpu_us_per_token"] for pair in pairs]
    return {"pairs": len(pairs), "cpu_us_per_token_without": round(without, 2),
            "cpu_us_per_token_with": round(without + mean, 2), "mean_ratio": round(statistics.mean(ratios), 4),
            "median_ratio": round(statistics.median(ratios), 4), "overhead": round(mean / without, 4),
            "overhead_low": round((mean - margin) / without, 4),
            "overhead_high": round((mean + margin) / without, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--cycles", type=int, default=3,
                        help=f"Of {len(TURNS)} turns in a pair; a turn is {CLIENTS * ANSWER_TOKENS} tokens")
    parser.add_argument("--json", type=pathlib.Path, help="File for the figures and all runs")
    arguments = parser.parse_args()
    if arguments.pairs < 2 or arguments.cycles < 1:
        parser.error("at least two pairs, and a cycle")
    pairs = []
    for number in range(arguments.pairs):
        started = time.monotonic()
        order = (WITH, WITHOUT) if number % 2 == 0 else (WITHOUT, WITH)
        pairs.append(run_pair(order, arguments.cycles))
        shown = ", ".join(f"{pairs[-1][side]['cpu_us_per_token']:.1f} {side}" for side in (WITH, WITHOUT))
        print(f"pair {number + 1}: CPU us per token {shown}; {time.monotonic() - started:.1f} s", file=sys.stderr)
    summary = summarise(pairs)
    if arguments.json:
        arguments.json.write_text(json.dumps({**summary, "runs": pairs}, indent=1) + "\n", encoding="utf-8")
    print(f"metrics and tracing: {100 * summary['overhead']:+.2f} % CPU per token "
          f"(95 % interval {100 * summary['overhead_low']:+.2f} to {100 * summary['overhead_high']:+.2f} %; "
          f"{summary['pairs']} pairs, {summary['cpu_us_per_token_without']} us/token without)")


if __name__ == "__main__":
    main()
