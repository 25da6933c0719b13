#!/usr/bin/env python3
"""Kills the router and the ledger's PostgreSQL with kill -9 while clients ask, and proves that the
ledger holds every answer that a client saw complete, none twice, and beyond those at most what was in
flight at the kills.

    tests/chaos/ledger.py --router-kills 20 --database-kills 5 --seed 7"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "integration"))

from cluster import Cluster, wait_until  # noqa: E402
from postgres import Postgres  # noqa: E402

CLIENTS = 6
SETTLE_S = 60


class Clients:
    """Threads that ask one request after the other, each under an id of its own. They know which
    answers they saw whole, and which requests were on their way."""

    def __init__(self, address):
        self._address = address
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.complete, self.attempted, self.in_flight = set(), set(), set()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                         for number in range(CLIENTS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def count_in_flight(self):
        with self._lock:
            return len(self.in_flight)

    def _run(self, number):
        for turn in range(10**9):
            if self._stopping.is_set():
                return
            name = f"client{number}-{turn}"
            with self._lock:
                self.attempted.add(name)
                self.in_flight.add(name)
            seen = self._ask(name, streams=turn % 2 == 0)
            with self._lock:
                self.in_flight.discard(name)
                if seen:
                    self.complete.add(name)
            if not seen:
                time.sleep(0.02)

    def _ask(self, name, streams):
        """Whether the whole answer came."""
        body = {"prompt": "What is 3 + 4?", "max_tokens": 24, "stream": streams,
                "ignore_eos": True}
        try:
            host, port = self._address().split(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            try:
                connection.request("POST", "/v1/completions", json.dumps(body),
                                   {"X-Request-Id": name, "Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    return False
                return content.endswith(b"data: [DONE]\n\n") if streams else \
                    json.loads(content)["choices"][0]["finish_reason"] is not None
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError):
            return False


def kill_router(cluster, clients):
    """kill -9 of the router, and waits for the one `moesaic up` starts instead. Returns how many
    requests were on their way at most."""
    victim = cluster.child("router-1")
    before = clients.count_in_flight()
    os.kill(victim["pid"], signal.SIGKILL)
    # One may have been sent between the count and the kill.
    flying = max(before, clients.count_in_flight(), CLIENTS)

    def back():
        try:
            child = cluster.child("router-1")
        except (StopIteration, ValueError):
            return False
        if child["pid"] in (0, victim["pid"]):
            return False
        known = len(clients.complete)
        return wait_until(lambda: len(clients.complete) > known, SETTLE_S, "answers again")

    wait_until(back, SETTLE_S, "the router is back")
    return flying


def run(router_kills, database_kills, seed, calm_s=1.0, log=print):
    """Returns the report; raises AssertionError when the ledger is not what it should be."""
    rng = random.Random(seed)
    faults = ["router"] * router_kills + ["database"] * database_kills
    rng.shuffle(faults)
    with Postgres() as database, \
            Cluster(ROOT / "models" / "demo", shards=2, restart_delay="0.1", ledger=database.url,
                    prometheus="off") as cluster:
        address = cluster.url.removeprefix("http://")
        clients = Clients(lambda: address)
        clients.start()
        flying = 0
        for fault in faults:
            time.sleep(calm_s * rng.uniform(0.5, 1.5))
            if fault == "router":
                flying += kill_router(cluster, clients)
            else:
                database.kill()
                time.sleep(rng.uniform(0.5, 3))
                database.start()
            log(f"killed the {fault}: {len(clients.complete)} answers so far")
        time.sleep(calm_s)
        clients.stop()

        def rows():
            return [row[0] for row in database.query("SELECT id FROM usage")]

        def everything():
            return clients.complete <= {row.split("/")[0] for row in rows()}

        try:
            wait_until(everything, SETTLE_S, "every answer is in the ledger")
        except AssertionError:
            print(cluster.logs()[-8000:])
            raise
        found = rows()
    by_request = collections.Counter(row.split("/")[0] for row in found)
    surplus = set(by_request) - clients.complete
    report = {"seed": seed, "router_kills": router_kills, "database_kills": database_kills,
              "attempted": len(clients.attempted), "complete": len(clients.complete),
              "rows": len(found), "missing": len(clients.complete - set(by_request)),
              "twice": [name for name, count in by_request.items() if count > 1],
              "surplus": len(surplus), "in_flight_at_kills": flying}
    assert report["missing"] == 0, report
    assert report["twice"] == [], report
    assert surplus <= clients.attempted, report
    assert len(surplus) <= flying, report
    assert report["complete"] > 0, report
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--router-kills", type=int, default=20)
    parser.add_argument("--database-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(json.dumps(run(options.router_kills, options.database_kills, options.seed), indent=2))


if __name__ == "__main__":
    main()
