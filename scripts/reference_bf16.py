#!/usr/bin/env python3
"""Measures what bfloat16 costs the reference implementation on the golden checkpoints.

The reference is Hugging Face transformers, its own class of every family, eager attention, on the
CPU, a prompt at a time. It first runs in float32 and must reproduce the goldens, then in bfloat16.
Prints, per checkpoint, the three numbers that the bf16 limits of our tests are about (what they
mean and what came out: docs/accuracy.md).

  reference_bf16.py GOLDEN [CHECKPOINT ...]

GOLDEN is the folder of golden checkpoints. Needs torch and transformers 4.56, so no test and no CI
job runs it: it is run by hand when goldens or limits change.
"""

import argparse
import json
import math
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek_v3

CHECKPOINTS = ("olmoe", "qwen3_moe", "qwen3_moe_dense1", "mixtral", "deepseek_v2_lite",
               "deepseek_v2", "deepseek_v3", "deepseek_v3_fp8")
PROMPTS = ("p0", "p1", "p2", "p3")
FP8_BLOCK = 128
LOGPROB_TOLERANCE_F32 = 1e-4


class Routing(TorchFunctionMode):
    """Notes the experts that each MoE layer of a forward pass chooses, or dictates them.

    Every family chooses with the one top-k over all experts; `dictated` has an int64
    [tokens, top-k] per MoE layer.
    """

    def __init__(self, config, dictated=None):
        super().__init__()
        names = ("n_routed_experts", "num_local_experts", "num_experts")
        self.experts = next(getattr(config, name) for name in names if hasattr(config, name))
        self.dictated = dictated
        self.chosen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not torch.topk or args[0].shape[-1] != self.experts:
            return func(*args, **(kwargs or {}))
        if self.dictated is None:
            values, ids = func(*args, **(kwargs or {}))
        else:
            ids = self.dictated[len(self.chosen)]
            values = args[0].gather(-1, ids)
        self.chosen.append(ids)
        return values, ids


def group_limited(choice, config, rate):
    """`choice` [tokens, experts] with the experts outside the best-rated groups at -inf."""
    groups = choice.view(len(choice), config.n_group, -1)
    kept = rate(groups).topk(config.topk_group, -1).indices
    mask = torch.ones(groups.shape[:2], dtype=torch.bool).scatter(1, kept, False)
    return groups.masked_fill(mask[..., None], -math.inf).view(choice.shape)


def deepseek_v2_gate(self, hidden_states):
    """The class's gate; the weights are those of the chosen experts also when they are dictated."""
    config = self.config
    rows = hidden_states.reshape(-1, hidden_states.shape[-1]).float()
    scores = choice = functional.linear(rows, self.weight.float()).softmax(-1)
    if config.topk_method == "group_limited_greedy":
        choice = group_limited(scores, config, lambda groups: groups.max(-1).values)
    ids = torch.topk(choice, config.num_experts_per_tok)[1]
    return ids, scores.gather(1, ids) * config.routed_scaling_factor


def deepseek_v3_topk(self, scores):
    """The class's choice, with -inf where it masks with 0.0, which can exceed a biased score."""
    choice = group_limited(scores + self.e_score_correction_bias, self,
                           lambda groups: groups.topk(2, -1).values.sum(-1))
    return torch.topk(choice, self.top_k)[1]


def follow_the_authors():
    """Corrects the classes where they differ from DeepSeek's own code."""
    deepseek_v2.DeepseekV2MoEGate.forward = deepseek_v2_gate
    deepseek_v3.DeepseekV3TopkRouter.get_topk_indices = deepseek_v3_topk
    attention_init = deepseek_v2.DeepseekV2Attention.__init__

    def init_with_mscale(self, config, layer_idx=None):
        attention_init(self, config, layer_idx)
        yarn = config.rope_scaling
        self.scaling *= (0.1 * yarn["mscale_all_dim"] * math.log(yarn["factor"]) + 1) ** 2

    deepseek_v2.DeepseekV2Attention.__init__ = init_with_mscale


def load_weights(directory):
    """All weights in float32; fp8 ones multiplied by their block scales."""
    weights = {}
    for path in sorted(directory.glob("model-*.safetensors")):
        weights |= load_file(path)
    for name in [name for name in weights if name.endswith("_scale_inv")]:
        scales = weights.pop(name).float()
        scales = scales.repeat_interleave(FP8_BLOCK, 0).repeat_interleave(FP8_BLOCK, 1)
        target = name.removesuffix("_scale_inv")
        rows, columns = weights[target].shape
        weights[target] = weights[target].float() * scales[:rows, :columns]
    return {name: weight.float() for name, weight in weights.items()}


def load_model(directory, dtype):
    """The model with its weights in `dtype`; buffers (rotary, correction bias) stay in float32."""
    raw = json.loads((directory / "config.json").read_text())
    raw.pop("quantization_config", None)
    config = transformers.AutoConfig.for_model(**raw)
    config._attn_implementation = "eager"
    model = getattr(transformers, raw["architectures"][0])(config)
    # Not strict: a checkpoint may hold a multi-token-prediction layer that the classes do not have.
    missing = model.load_state_dict(load_weights(directory), strict=False).missing_keys
    if missing:
        sys.exit(f"{directory.name} lacks {missing}")
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model.eval()


@torch.no_grad()
def forward(model, ids, dictated=None):
    """Logits [tokens, vocabulary] in float32, and the experts [tokens, top-k] per MoE layer."""
    with Routing(model.config, dictated) as routing:
        logits = model(input_ids=ids[None], use_cache=False).logits[0].float()
    return logits, routing.chosen


def logprobs(logits, ids):
    """Log-probability of each prompt token but the first, [tokens - 1]."""
    return logits.double().log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]


def measure(directory, dtype):
    """Share of equal expert sets, mean |Δ log p|, largest |Δ log p| with the routing replayed."""
    golden = load_file(directory / "golden.safetensors")
    model = load_model(directory, dtype)
    equal, errors, replayed_errors = [], [], []
    for prompt in PROMPTS:
        ids = golden[f"{prompt}.input_ids"].reshape(-1).long()
        want = logprobs(golden[f"{prompt}.logits"].reshape(len(ids), -1), ids)
        names = (f"{prompt}.layers.{i}.topk_idx" for i in range(model.config.num_hidden_layers))
        routing = [golden[name].reshape(len(ids), -1).long() for name in names if name in golden]
        logits, chosen = forward(model, ids)
        for ours, theirs in zip(chosen, routing, strict=True):
            equal.append((ours.sort(-1).values == theirs.sort(-1).values).all(-1))
        errors.append((logprobs(logits, ids) - want).abs())
        logits, _ = forward(model, ids, routing)
        replayed_errors.append((logprobs(logits, ids) - want).abs())
    return (torch.cat(equal).double().mean().item(), torch.cat(errors).mean().item(),
            torch.cat(replayed_errors).max().item())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("checkpoints", nargs="*", default=CHECKPOINTS)
    args = parser.parse_args()
    follow_the_authors()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    for name in args.checkpoints:
        equal, _, largest = measure(args.golden / name, torch.float32)
        if equal < 1 or largest > LOGPROB_TOLERANCE_F32:
            sys.exit(f"{name}: float32 does not give the goldens ({equal:.4f}, {largest:.1e})")
        equal, mean, largest = measure(args.golden / name, torch.bfloat16)
        print(f"{name}: equal expert sets {equal:.4f}, mean |Δ log p| {mean:.4f}, "
              f"largest with routing replayed {largest:.4f}", flush=True)


if __name__ == "__main__":
    main()
