#!/usr/bin/env python3
"""Checks the headroom figure: reads what a router says at a light load that it could deliver, then
loads it to saturation with the same lengths, and compares.

    bench/headroom_check.py --url http://127.0.0.1:8000 [--light-share 0.3] [--seconds 20]

Prints a line of JSON. The load generator is this process. `ratio` is the prediction over what was
measured; `ratio_without_generator` takes the processor time of the generator off, as if the machine's
processors had been the cluster's alone.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import random
import threading
import time
import urllib.parse

# (prompt tokens, answer tokens), each range even.
LENGTHS = {"chat": ((16, 96), (16, 64)), "short": ((4, 24), (64, 128))}
SATURATING_CLIENTS = 96


def metric(text, name):
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


class Load:
    """Requests of one mix of lengths; a connection for each thread that asks."""

    def __init__(self, url, lengths, seed):
        self.address = urllib.parse.urlsplit(url).netloc
        self.lengths, self.random = LENGTHS[lengths], random.Random(seed)
        self.local = threading.local()

    def body(self):
        prompt, answer = (self.random.randint(*bounds) for bounds in self.lengths)
        return json.dumps({"prompt": [self.random.randint(10, 200) for _ in range(prompt)],
                           "max_tokens": answer, "ignore_eos": True})

    def send(self, method, path, body=None):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.address, timeout=300)
        self.local.connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self.local.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text}")
        return text

    def metrics(self):
        return self.send("GET", "/metrics")

    def paced(self, tokens_per_s, seconds):
        """Requests at random times, so many answer tokens a second."""
        rate = tokens_per_s / (sum(self.lengths[1]) / 2)
        end = time.monotonic() + seconds
        with concurrent.futures.ThreadPoolExecutor(SATURATING_CLIENTS) as pool:
            sent = []
            while time.monotonic() < end:
                sent.append(pool.submit(self.send, "POST", "/v1/completions", self.body()))
                time.sleep(self.random.expovariate(rate))
            for request in sent:
                request.result()

    def saturate(self, seconds):
        """Clients that ask again as soon as they have their answer. Returns tokens per second without
        ramp and tail, and the share of a processor this process took."""
        end = time.monotonic() + seconds

        def ask():
            while time.monotonic() < end:
                self.send("POST", "/v1/completions", self.body())

        def count():
            text = self.metrics()
            tokens = sum(metric(text, f"moesaic_{name}_seconds_count")
                         for name in ("inter_token_latency", "time_to_first_token"))
            return time.monotonic(), time.process_time(), tokens

        with concurrent.futures.ThreadPoolExecutor(SATURATING_CLIENTS) as pool:
            clients = [pool.submit(ask) for _ in range(SATURATING_CLIENTS)]
            time.sleep(seconds * 0.3)
            begin = count()
            time.sleep(seconds * 0.6)
            wall, cpu, tokens = (after - before for after, before in zip(count(), begin))
            for client in clients:
                client.result()
        return tokens / wall, cpu / wall


def check(arguments):
    light = Load(arguments.url, arguments.light, arguments.seed)
    rough = arguments.rough or light.saturate(6)[0]
    time.sleep(arguments.forget_s)
    light.paced(arguments.light_share * rough, arguments.seconds)
    predicted = metric(light.metrics(), "moesaic_capacity_tokens_per_second")
    full = Load(arguments.url, arguments.full, arguments.seed + 1)
    measured, generator = full.saturate(arguments.seconds)
    cores = os.cpu_count()
    alone = measured * cores / (cores - generator)
    print(json.dumps({"light": arguments.light, "full": arguments.full,
                      "light_share": arguments.light_share, "predicted": round(predicted, 1),
                      "measured": round(measured, 1), "ratio": round(predicted / measured, 3),
                      "generator_processors": round(generator, 3),
                      "ratio_without_generator": round(predicted / alone, 3)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--light", choices=LENGTHS, default="chat")
    parser.add_argument("--full", choices=LENGTHS, default="chat")
    parser.add_argument("--light-share", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--forget-s", type=float, default=0,
                        help="Silence after the rough measurement, for the model to forget it")
    parser.add_argument("--rough", type=float, default=0,
                        help="Tokens per second of which the light load is a share; 0 = measure first")
    parser.add_argument("--seed", type=int, default=1)
    check(parser.parse_args())


if __name__ == "__main__":
    main()
