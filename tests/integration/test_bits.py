"""The same bits, always: whatever the number of shards, the placement, the batch, the chunks, the
threads, the instruction set and the preemptions."""
import concurrent.futures
import json
import pathlib
import random

import pytest

from cluster import Cluster
from golden import checkpoint

# MLA with group-limited sigmoid gating and shared experts: every part of the router is in it.
MODEL = "deepseek_v3"
PROMPTS = 20
ANSWER_TOKENS = 24

VARIANTS = {
    "one shard": dict(shards=1),
    "two shards": dict(shards=2),
    "five shards": dict(shards=5),
    "two replicas": dict(shards=3, replicas=2),
    "prefill budget 8": dict(max_step_tokens=8),
    "prefill budget 64": dict(max_step_tokens=64),
    "prefill budget 4096": dict(max_step_tokens=4096),
    "one thread": dict(threads=1),
    "two threads": dict(threads=2),
    "one micro-batch": dict(micro_batches=1),
    "two micro-batches": dict(micro_batches=2),
    "AVX2": dict(simd="avx2"),
    "AVX-512": dict(simd="avx512"),
    "AVX-512 VNNI": dict(simd="avx512_vnni"),
    "AVX-512 BF16": dict(simd="avx512_bf16"),
    "KV blocks of 3 tokens": dict(kv_block_tokens=3),
}
# Of the computation, and of the weights where they are not held as stored.
DTYPES = {"bf16": dict(compute_dtype="bf16"), "f32": dict(compute_dtype="f32"),
          "int8": dict(compute_dtype="bf16", weight_dtype="int8")}
# Those that change which rows travel together, or what converts them.
FP8_WIRE_VARIANTS = ("one shard", "five shards", "two replicas", "prefill budget 8", "one thread",
                     "AVX2")


def prompts():
    """Prompts of 1 to 120 tokens of the byte-level tokenizer."""
    rng = random.Random(7)
    return [[rng.randrange(3, 259) for _ in range(length)]
            for length in (rng.randrange(1, 121) for _ in range(PROMPTS))]


def answer(cluster, ids):
    body = cluster.complete(prompt=ids, max_tokens=ANSWER_TOKENS, temperature=0, ignore_eos=True,
                            logprobs=5, echo=True, return_token_ids=True)
    return json.dumps([body["choices"][0]["text"], body["choices"][0]["token_ids"],
                       body["choices"][0]["logprobs"]])


def answers(cluster, parallel):
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(lambda ids: answer(cluster, ids), prompts()))


def supported(simd):
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii")
    return {"avx2": " avx2 ", "avx512": " avx512f ", "avx512_vnni": " avx512_vnni ",
            "avx512_bf16": " avx512_bf16 "}[simd] in flags


@pytest.fixture(scope="module", params=DTYPES)
def reference(request):
    """(flags of the dtype, answers of three shards, one request at a time)."""
    dtype = DTYPES[request.param]
    with Cluster(checkpoint(MODEL), shards=3, **dtype) as cluster:
        alone = answers(cluster, parallel=1)
        assert answers(cluster, parallel=16) == alone, "alone and in a batch with others"
    return dtype, alone


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_bits(reference, variant):
    dtype, expected = reference
    flags = dict(VARIANTS[variant])
    if "simd" in flags and not supported(flags["simd"]):
        pytest.skip(f"this CPU has no {flags['simd']}")
    shards = flags.pop("shards", 3)
    with Cluster(checkpoint(MODEL), shards=shards, **dtype, **flags) as cluster:
        assert answers(cluster, parallel=16) == expected


def test_same_bits_with_fp8_rows_on_the_wire():
    flags = dict(wire_dtype="fp8")
    with Cluster(checkpoint(MODEL), shards=3, **flags) as cluster:
        expected = answers(cluster, parallel=1)
        assert answers(cluster, parallel=16) == expected
    for variant in FP8_WIRE_VARIANTS:
        changed = {"shards": 3, **flags, **VARIANTS[variant]}
        if "simd" in changed and not supported(changed["simd"]):
            continue
        with Cluster(checkpoint(MODEL), **changed) as cluster:
            assert answers(cluster, parallel=16) == expected, variant


def test_same_bits_when_preempted(reference):
    dtype, expected = reference
    # Room for about two of the longest sequences: most of 16 concurrent requests are preempted.
    kv_bytes_per_token = 3 * (40 + 64) * (4 if dtype["compute_dtype"] == "f32" else 2)
    with Cluster(checkpoint(MODEL), shards=3, **dtype,
                 kv_cache_bytes=kv_bytes_per_token * 320) as cluster:
        assert answers(cluster, parallel=16) == expected
        metrics = cluster.http.get("/metrics").text
        preempted = [line for line in metrics.splitlines()
                     if line.startswith("moesaic_preemptions_total")]
        assert preempted and float(preempted[0].split()[-1]) > 0, "nothing was preempted"
