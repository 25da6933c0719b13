#!/usr/bin/env python3
"""Compares a Moesaic cluster with llama.cpp on the same weights and cores, in interleaved rounds.

    .venv/bin/python bench/compare_llama_cpp.py --model /tmp/v2-lite --gguf /tmp/v2-lite.gguf \\
        --llama-bin ~/llama.cpp/build/bin [--rounds 3] [--json FILE] [-- FLAGS OF moesaic up]

Moesaic is a router and two shards, over gRPC and its HTTP API; llama.cpp is one process (llama-batched-bench)
with a thread per core, or with --rpc-workers N a head and N rpc-servers of one thread each. Measured of both:
prefill of one prompt of 512 tokens, and decode with 1, 8 and 32 sequences, prompts of 64 tokens, 64 tokens
each, all of them random. Prints the median of the rounds, the range, and the ratio of the medians.

Moesaic's tokens are sampled at temperature 1 (llama-batched-bench feeds random tokens), so that sequences do
not fall into the same loop and share experts. Make the files with scripts/make_bench_checkpoint.py and
bench/llama_cpp_checkpoint.py; llama.cpp is built elsewhere.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))
from cluster import Cluster  # noqa: E402  # pylint: disable=wrong-import-position

PREFILL_TOKENS, PROMPT_TOKENS, ANSWER_TOKENS = 512, 64, 64
VOCABULARY = 32000
STREAMS = (1, 8, 32)
FIGURES = ["prefill 512"] + [f"decode {n}" for n in STREAMS]


class Stream(threading.Thread):
    """One streamed completion; notes when each piece of text came."""

    def __init__(self, url, prompt, tokens, seed):
        super().__init__()
        self.url, self.times, self.error = url, [], None
        self.body = {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "temperature": 1,
                     "seed": seed, "stream": True}

    def run(self):
        try:
            with httpx.stream("POST", f"{self.url}/v1/completions", json=self.body, timeout=600) as answer:
                if answer.status_code != 200:
                    raise RuntimeError(f"{answer.status_code} {answer.read().decode()}")
                for line in answer.iter_lines():
                    if not line.startswith("data: {"):
                        continue
                    chunk = json.loads(line.removeprefix("data: "))
                    if "error" in chunk:
                        raise RuntimeError(line)
                    if chunk["choices"] and chunk["choices"][0]["text"]:
                        self.times.append(time.perf_counter())
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def run_streams(url, count, prompt_tokens, answer_tokens, generator):
    """Starts `count` requests at once; returns when they were started and the times of their text."""
    def prompt():
        return [generator.randrange(3, VOCABULARY) for _ in range(prompt_tokens)]

    streams = [Stream(url, prompt(), answer_tokens, generator.randrange(1 << 30)) for _ in range(count)]
    begin = time.perf_counter()
    for stream in streams:
        stream.start()
    for stream in streams:
        stream.join()
        if stream.error is not None:
            raise stream.error
    return begin, [stream.times for stream in streams]


def measure_moesaic(url, generator):
    """Tokens per second of each figure."""
    begin, times = run_streams(url, 1, PREFILL_TOKENS, 1, generator)
    speeds = [PREFILL_TOKENS / (times[0][0] - begin)]
    for count in STREAMS:
        _, times = run_streams(url, count, PROMPT_TOKENS, ANSWER_TOKENS, generator)
        # While every sequence decodes: after the last first token, until the first sequence is over.
        # (A token that ends inside a character comes with the next one: under 1 %, against us.)
        since, until = max(t[0] for t in times), min(t[-1] for t in times)
        tokens = sum(since < at <= until for t in times for at in t)
        speeds.append(tokens / (until - since))
    return speeds


def start_rpc_workers(args):
    workers = []
    for number in range(args.rpc_workers):
        port = args.rpc_port + number
        command = [args.llama_bin / "ggml-rpc-server", "-H", "127.0.0.1", "-p", str(port), "-t", "1"]
        workers.append(subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL))
    time.sleep(1)
    return workers


def batched_bench(args, extra, prompt_tokens, streams):
    """The rows that llama-batched-bench prints, by number of sequences."""
    threads = 1 if args.rpc_workers else args.threads
    command = [args.llama_bin / "llama-batched-bench", "-m", args.gguf, "-c", "4096", "-b", "2048", "-ub", "512",
               "-t", threads, "-tb", threads, "-npp", prompt_tokens, "-ntg", ANSWER_TOKENS,
               "-npl", ",".join(map(str, streams)), "--output-format", "jsonl", *extra]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {row["pl"]: row for row in rows}


def measure_llama(args):
    """Tokens per second of each figure."""
    workers, extra = start_rpc_workers(args), []
    if workers:
        ports = range(args.rpc_port, args.rpc_port + len(workers))
        extra = ["--rpc", ",".join(f"127.0.0.1:{port}" for port in ports), "-ngl", "99"]
    try:
        prefill = batched_bench(args, extra, PREFILL_TOKENS, [1])
        decode = batched_bench(args, extra, PROMPT_TOKENS, STREAMS)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    return [prefill[1]["speed_pp"]] + [decode[count]["speed_tg"] for count in STREAMS]


def load_average():
    return os.getloadavg()[0]


def compare(args):
    rounds = {"moesaic": [], "llama.cpp": []}
    generator = random.Random(args.seed)
    for number in range(args.rounds):
        load = load_average()
        if not args.without_moesaic:
            with Cluster(args.model, shards=2, **args.up_flags) as cluster:
                time.sleep(1)
                run_streams(cluster.url, 4, PROMPT_TOKENS, 4, generator)  # warm
                rounds["moesaic"].append(measure_moesaic(cluster.url, generator))
        if not args.without_llama:
            rounds["llama.cpp"].append(measure_llama(args))
        print(f"round {number + 1}, load {load:.1f}:",
              {name: [round(speed, 1) for speed in of[-1]] for name, of in rounds.items() if of}, flush=True)
    return rounds


def report(rounds):
    print(f"\n{'tokens/s':12}" + "".join(f"{figure:>20}" for figure in FIGURES))
    medians = {}
    for name, of in rounds.items():
        if not of:
            continue
        columns = list(zip(*of))
        medians[name] = [statistics.median(column) for column in columns]
        print(f"{name:12}" + "".join(f"{statistics.median(c):8.1f} ({min(c):.1f}-{max(c):.1f})".rjust(20)
                                     for c in columns))
    if len(medians) == 2:
        ratios = [ours / theirs for ours, theirs in zip(medians["moesaic"], medians["llama.cpp"])]
        print(f"{'ratio':12}" + "".join(f"{ratio:20.2f}" for ratio in ratios))
    return medians


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="checkpoint directory")
    parser.add_argument("--gguf", help="the same weights for llama.cpp")
    parser.add_argument("--llama-bin", type=pathlib.Path, help="folder of llama-batched-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="llama.cpp's threads")
    parser.add_argument("--rpc-workers", type=int, default=0, help="llama.cpp over its RPC, so many workers")
    parser.add_argument("--rpc-port", type=int, default=50052, help="first port of the workers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    parser.add_argument("--without-moesaic", action="store_true")
    parser.add_argument("--without-llama", action="store_true")
    parser.add_argument("up_flags", nargs="*", help="flags of moesaic up, NAME=VALUE")
    args = parser.parse_args()
    args.up_flags = dict(flag.split("=", 1) for flag in args.up_flags)
    return args


def main():
    args = parse()
    rounds = compare(args)
    medians = report(rounds)
    if args.json:
        args.json.write_text(json.dumps({"figures": FIGURES, "medians": medians, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
