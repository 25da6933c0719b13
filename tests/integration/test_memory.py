"""What processes keep in memory, and how fast a shard that knows its units starts again."""
import importlib.util
import json
import pathlib
import re

import numpy
import pytest

from cluster import ROOT, Cluster, wait_until

KV_CACHE_BYTES = 32 << 20
# Code, threads, gRPC's and the allocator's arenas, buffers of a step.
FIXED_BYTES = 96 << 20
UNITS = 4 * 64  # MoE layers and their experts
PROMPTS = [[3 + (7 * i + j) % 256 for j in range(64)] for i in range(8)]


def tiny():
    """scripts/make_tiny_checkpoint.py as a module of its own, so that its dimensions can be changed."""
    spec = importlib.util.spec_from_file_location(
        "large_checkpoint", ROOT / "scripts/make_tiny_checkpoint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A random checkpoint of 300 MB: (folder, bytes of its routed experts, bytes of the rest)."""
    maker = tiny()
    maker.HIDDEN, maker.EXPERT_INTERMEDIATE, maker.EXPERTS = 512, 320, 64
    maker.DENSE_INTERMEDIATE = 16384
    generator = numpy.random.default_rng(1)

    def matrix(self, name, rows, cols, scale, first_column=None, zero_first_row=False):
        values = generator.uniform(-scale, scale, (rows, cols)).astype("<f4") / 8
        self.tensors[name + ".weight"] = (
            "BF16", [rows, cols], (values.view("<u4") >> 16).astype("<u2").tobytes())

    maker.Weights.matrix = matrix
    tensors = maker.make_weights(1)
    directory = tmp_path_factory.mktemp("large")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        source = ROOT / "models/tiny" / name
        if source.exists():
            (directory / name).write_bytes(source.read_bytes())
    (directory / "config.json").write_text(json.dumps(maker.config()), encoding="utf-8")
    (directory / "model.safetensors").write_bytes(maker.safetensors_bytes(tensors))
    routed = sum(len(data) for name, (_, _, data) in tensors.items() if ".experts." in name)
    return directory, routed, sum(len(data) for _, _, data in tensors.values()) - routed


def resident_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Rss:\s+(\d+) kB", text, re.MULTILINE).group(1)) << 10


def answer(cluster, ids):
    return cluster.complete(prompt=ids, max_tokens=8, temperature=0, ignore_eos=True,
                            return_token_ids=True)["choices"][0]["token_ids"]


def loaded_lines(cluster):
    """(units, of them from the packed cache) of every load the shards logged."""
    return [(int(units), int(cached)) for units, cached in re.findall(
        r"loaded (\d+) units of \d+ MB in \d+ ms, (\d+) of them", cluster.logs())]


def test_memory_is_that_of_weights_and_cache(large):
    directory, routed, rest = large
    with Cluster(directory, shards=2, kv_cache_bytes=KV_CACHE_BYTES) as cluster:
        for ids in PROMPTS:
            answer(cluster, ids)
        held = {shard["placed"]["shard"]: int(shard["held_bytes"])
                for shard in cluster.status()["shards"]}
        # bf16 weights take 12 bits each, or 16 where that is not faster.
        assert 0.75 * routed < sum(held.values()) <= routed
        for child in cluster.state()["children"]:
            is_router = child["name"].startswith("router")
            allowed = rest + KV_CACHE_BYTES if is_router else held.get(child["name"], 0)
            resident = resident_bytes(child["pid"])
            print(child["name"], resident >> 20, "MiB resident,", allowed >> 20, "MiB of weights")
            assert resident <= 1.1 * allowed + FIXED_BYTES, child["name"]


def test_shards_start_from_the_packed_cache(large, tmp_path):
    directory, _, _ = large
    packed = tmp_path / "packed"
    flags = dict(shards=2, kv_cache_bytes=KV_CACHE_BYTES, packed_cache=packed)
    with Cluster(directory, **flags) as cluster:
        expected = [answer(cluster, ids) for ids in PROMPTS]
        # Besides, each shard loads a few to measure its speed.
        assert sum(units for units, _ in loaded_lines(cluster)) >= UNITS
        files = wait_until(lambda: len(found := list(packed.glob("*.packed"))) == UNITS and found,
                           60, "every unit was written")
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-5000] + bytes(5000))
    with Cluster(directory, **flags) as cluster:
        assert [answer(cluster, ids) for ids in PROMPTS] == expected
        loads = loaded_lines(cluster)
        assert sum(cached for _, cached in loads) >= UNITS - 1
        assert sum(units - cached for units, cached in loads) <= 2
        assert "packed unit not used" in cluster.logs()
