#!/usr/bin/env python3
"""Checks the headroom figure: reads what a router says at a light load that it could deliver, then
loads it to saturation with the same lengths, and compares.

    bench/headroom_check.py --url http://127.0.0.1:8000 [--light-share 0.3] [--seconds 20]

Prints a line of JSON. The load is `moesaic bench`, of $MOESAIC_BIN. `ratio` is the prediction over what was
measured; `ratio_without_generator` takes the processor time of the generator off, as if the machine's
processors had been the cluster's alone.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
# (prompt tokens, answer tokens), each range even.
LENGTHS = {"chat": ((16, 96), (16, 64)), "short": ((4, 24), (64, 128))}
SATURATING_CLIENTS = 96


def metric(text, name):
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


class Load:
    """Requests of one mix of lengths, made by `moesaic bench`."""

    def __init__(self, url, lengths, seed):
        self.url, self.lengths, self.seed = url, LENGTHS[lengths], seed

    def metrics(self):
        with urllib.request.urlopen(self.url + "/metrics", timeout=60) as answer:
            return answer.read().decode()

    def start(self, *load):
        """`moesaic bench` under way; its report is for `finish`."""
        prompt, answer = ("uniform:%d-%d" % bounds for bounds in self.lengths)
        report = tempfile.NamedTemporaryFile(suffix=".json")
        process = subprocess.Popen(
            [BIN / "moesaic", "bench", "--url", self.url, "--prompt-tokens", prompt,
             "--output-tokens", answer, "--token-ids", "10-200", "--warmup", "0", "--seed",
             str(self.seed), "--json", report.name, *map(str, load)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return process, report

    @staticmethod
    def finish(process, report):
        code = process.wait()
        stage = json.loads(pathlib.Path(report.name).read_text())["stages"][0] if code == 0 else None
        if stage is None or stage["requests_failed"]:
            raise RuntimeError(f"moesaic bench ended with {code}: {stage and stage['failures']}")
        return stage

    def paced(self, tokens_per_s, seconds):
        """Requests at random times, so many answer tokens a second."""
        rate = tokens_per_s / (sum(self.lengths[1]) / 2)
        self.finish(*self.start("--rate", rate, "--duration-s", seconds))

    def saturate(self, seconds):
        """Clients that ask again as soon as they have their answer. Returns tokens per second without
        ramp and tail, and the share of a processor the generator took."""
        running = self.start("--concurrency", SATURATING_CLIENTS, "--duration-s", seconds)

        def count():
            text = self.metrics()
            return time.monotonic(), sum(metric(text, f"moesaic_{name}_seconds_count") for name in
                                         ("inter_token_latency", "time_to_first_token"))

        time.sleep(seconds * 0.3)
        begin = count()
        time.sleep(seconds * 0.6)
        wall, tokens = (after - before for after, before in zip(count(), begin))
        stage = self.finish(*running)
        return tokens / wall, stage["generator_cpu_s"] / stage["duration_s"]


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
