#!/usr/bin/env python3
"""Checks the headroom figure: reads what a router says at a light load that it could deliver, then
loads it to saturation with the same lengths, and compares.

    bench/headroom_check.py --url http://127.0.0.1:8000 [--light-share 0.3] [--seconds 20]

Prints a line of JSON. The load generator is this process; its processor time is printed too.
"""
import argparse
import asyncio
import json
import random
import time

import httpx

# (prompt tokens, answer tokens), each range even.
LENGTHS = {"chat": ((16, 96), (16, 64)), "short": ((4, 24), (64, 128))}


def metric(text, name):
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


class Load:
    def __init__(self, url, lengths, seed):
        self.client = httpx.AsyncClient(base_url=url, timeout=300,
                                        limits=httpx.Limits(max_connections=None))
        self.lengths, self.random = LENGTHS[lengths], random.Random(seed)

    async def one(self):
        prompt, answer = (self.random.randint(*bounds) for bounds in self.lengths)
        body = {"prompt": [self.random.randint(10, 200) for _ in range(prompt)],
                "max_tokens": answer, "ignore_eos": True}
        (await self.client.post("/v1/completions", json=body)).raise_for_status()

    async def closed(self, clients, seconds):
        """So many clients, each asking again as soon as it has its answer."""
        end = time.monotonic() + seconds

        async def ask():
            while time.monotonic() < end:
                await self.one()
        await asyncio.gather(*(ask() for _ in range(clients)))

    async def paced(self, tokens_per_s, seconds):
        """Requests at random times, so many answer tokens a second."""
        rate = tokens_per_s / (sum(self.lengths[1]) / 2)
        end, tasks = time.monotonic() + seconds, []
        while time.monotonic() < end:
            tasks.append(asyncio.create_task(self.one()))
            await asyncio.sleep(self.random.expovariate(rate))
        await asyncio.gather(*tasks)

    async def metrics(self):
        return (await self.client.get("/metrics")).text


async def saturate(load, clients, seconds):
    """Tokens per second of the router with all its places taken, without ramp and tail."""
    task = asyncio.create_task(load.closed(clients, seconds))
    await asyncio.sleep(seconds * 0.3)
    counts = []
    for wait in (seconds * 0.6, 0):
        text = await load.metrics()
        counts.append((time.monotonic(), metric(text, "moesaic_inter_token_latency_seconds_count")
                       + metric(text, "moesaic_time_to_first_token_seconds_count")))
        await asyncio.sleep(wait)
    await task
    (t0, n0), (t1, n1) = counts
    return (n1 - n0) / (t1 - t0)


async def check(arguments):
    load = Load(arguments.url, arguments.light, arguments.seed)
    rough = arguments.rough or await saturate(load, 64, 6)
    await asyncio.sleep(arguments.forget_s)
    await load.paced(arguments.light_share * rough, arguments.seconds)
    predicted = metric(await load.metrics(), "moesaic_capacity_tokens_per_second")
    full = Load(arguments.url, arguments.full, arguments.seed + 1)
    cpu = time.process_time()
    measured = await saturate(full, 96, arguments.seconds)
    cpu = time.process_time() - cpu
    print(json.dumps({"light": arguments.light, "full": arguments.full,
                      "light_share": arguments.light_share, "predicted": round(predicted, 1),
                      "measured": round(measured, 1), "ratio": round(predicted / measured, 3),
                      "generator_cpu_share": round(cpu / arguments.seconds, 3)}))


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
    asyncio.run(check(parser.parse_args()))


if __name__ == "__main__":
    main()
