"""Reference outputs of the model authors' own code (tests/golden/README.md)."""
import base64
import functools
import pathlib
import subprocess
import sys

import numpy
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FULL = ROOT.parent / "shared" / "golden"
UNPACKED = ROOT / "build" / "golden"

CHECKPOINTS = ("olmoe", "mixtral", "qwen3_moe", "qwen3_moe_dense1", "deepseek_v2_lite",
               "deepseek_v2", "deepseek_v3", "deepseek_v3_fp8")
PROMPTS = ("p0", "p1", "p2", "p3")
LOGPROB_TOLERANCE_F32 = 1e-4


@functools.cache
def directory():
    """The full set where it is present, else the trimmed copy that comes with the sources."""
    if FULL.is_dir():
        return FULL
    subprocess.run([sys.executable, ROOT / "scripts" / "unpack_goldens.py",
                    ROOT / "tests" / "golden", UNPACKED], check=True)
    return UNPACKED


def checkpoint(name):
    return directory() / name


class Golden:
    """What the reference computed for one checkpoint in float32."""

    def __init__(self, name):
        self.tensors = load_file(directory() / name / "golden.safetensors")

    def prompts(self):
        return [p for p in PROMPTS if f"{p}.input_ids" in self.tensors]

    def ids(self, prompt):
        return self.tensors[f"{prompt}.input_ids"].reshape(-1).tolist()

    def logprobs(self, prompt):
        """Log-probability of each prompt token but the first, [tokens - 1]."""
        logits = self.tensors[f"{prompt}.logits"].astype(numpy.float64)
        logits = logits.reshape(-1, logits.shape[-1])
        ids = self.ids(prompt)[1:]
        rows = logits[: len(ids)]
        top = rows.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + numpy.log(numpy.exp(rows - top).sum(axis=1))
        return rows[numpy.arange(len(ids)), ids] - log_sum

    def routing(self, prompt):
        """Experts by descending weight, int32 [tokens, MoE layers, top-k]."""
        keys = [k for k in self.tensors if k.startswith(prompt + ".layers.") and k.endswith(".topk_idx")]
        keys.sort(key=lambda key: int(key.split(".")[2]))
        tokens = len(self.ids(prompt))
        layers = [self.tensors[k].reshape(tokens, -1) for k in keys]
        return numpy.stack(layers, axis=1).astype(numpy.int32)

    def greedy(self):
        return self.tensors["p1.greedy"].reshape(-1).tolist()


def decode_routing(choice):
    """The routed experts of a completion's choice, int32 [tokens, MoE layers, top-k]."""
    flat = numpy.frombuffer(base64.b64decode(choice["routed_experts"]), "<i4")
    return flat.reshape(choice["routed_experts_shape"])


def encode_routing(routing):
    """Base64 of int32 [tokens, MoE layers, top-k], as `replay_routed_experts` takes it."""
    return base64.b64encode(numpy.ascontiguousarray(routing, "<i4").tobytes()).decode()


def score(cluster, ids, **extra):
    """Prompt log-probabilities [tokens - 1] and routing [tokens, MoE layers, top-k]."""
    # One token more than a scorer needs: the last prompt token is computed, and routed, for it.
    answer = cluster.complete(prompt=ids, echo=True, logprobs=1, max_tokens=1, ignore_eos=True,
                              return_routed_experts=True, **extra)
    choice = answer["choices"][0]
    logprobs = choice["logprobs"]["token_logprobs"]
    assert logprobs[0] is None and len(logprobs) == len(ids) + 1
    return numpy.array(logprobs[1:-1], dtype=numpy.float64), decode_routing(choice)
