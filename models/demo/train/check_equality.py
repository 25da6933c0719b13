"""Shows that the training model and Hugging Face's DeepSeek-V3 give the same logits on an exported checkpoint.

    python check_equality.py MODEL_DIR

Both run in float32 on the exported (BF16) weights; limit 1e-4 on log-probabilities.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

import batches
import examples
import model as models
import problems

LIMIT, PROBLEMS = 1e-4, 40


def training_state(tensors, config):
    """The exported tensors under the training model's names."""
    state = {"embed_tokens": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"],
             "lm_head": tensors["lm_head.weight"]}
    for name, tensor in tensors.items():
        if not name.startswith("model.layers.") or ".experts." in name:
            continue
        short = name.removeprefix("model.").replace("shared_experts", "shared")
        short = short.replace("gate.e_score_correction_bias", "bias")
        state[short if "norm" in short else short.removesuffix(".weight")] = tensor
    for layer in range(config["first_k_dense_replace"], config["num_hidden_layers"]):
        for matrix in ("gate_proj", "up_proj", "down_proj"):
            prefix = f"model.layers.{layer}.mlp.experts"
            state[f"layers.{layer}.mlp.{matrix}"] = torch.stack(
                [tensors[f"{prefix}.{e}.{matrix}.weight"] for e in range(config["n_routed_experts"])])
    return {name: tensor.float() for name, tensor in state.items()}


@torch.no_grad()
def main():
    directory = pathlib.Path(sys.argv[1])
    config = json.loads((directory / "config.json").read_text())
    ours = models.DemoModel(config)
    ours.load_state_dict(training_state(load_file(directory / "model.safetensors"), config))
    theirs = DeepseekV3ForCausalLM.from_pretrained(directory, torch_dtype=torch.float32, attn_implementation="eager",
                                                   config=DeepseekV3Config.from_pretrained(directory)).eval()
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    worst = 0.0
    for problem in problems.held_out_problems(PROBLEMS):
        tokens, _ = batches.encode(tokenizer, *examples.held_out_example(problem))
        ids = torch.tensor([tokens])
        mine = ours(ids, torch.ones_like(ids), torch.ones_like(ids, dtype=torch.bool)).log_softmax(-1)
        worst = max(worst, float((mine - theirs(ids).logits[0].log_softmax(-1)).abs().max()))
    print(f"largest |Δ log p| over all positions and tokens of {PROBLEMS} problems: {worst:.2e} (limit {LIMIT:g})")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
