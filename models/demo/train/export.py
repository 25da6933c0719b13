"""Writes a trained state as a Hugging Face checkpoint directory.

    python export.py TRAINED MODEL_DIR     (models/demo, from the OUT of train.py)
"""

import json
import os
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

import configuration

ATTENTION = ("q_a_proj", "q_a_layernorm", "q_b_proj", "kv_a_proj_with_mqa", "kv_a_layernorm", "kv_b_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


def layer_tensors(state, number, dense):
    """{name: tensor} of one layer under the names of the checkpoint."""
    source, target = f"layers.{number}", f"model.layers.{number}"
    tensors = {f"{target}.{norm}.weight": state[f"{source}.{norm}.weight"]
               for norm in ("input_layernorm", "post_attention_layernorm")}
    for name in ATTENTION:
        suffix = ".weight" if name.endswith("layernorm") else ""
        tensors[f"{target}.self_attn.{name}.weight"] = state[f"{source}.self_attn.{name}{suffix}"]
    if dense:
        tensors |= {f"{target}.mlp.{name}.weight": state[f"{source}.mlp.{name}"] for name in MLP}
        return tensors
    tensors[f"{target}.mlp.gate.weight"] = state[f"{source}.mlp.gate"]
    for name in MLP:
        tensors[f"{target}.mlp.shared_experts.{name}.weight"] = state[f"{source}.mlp.shared.{name}"]
        for expert, weight in enumerate(state[f"{source}.mlp.{name}"]):
            tensors[f"{target}.mlp.experts.{expert}.{name}.weight"] = weight
    return tensors


def checkpoint_tensors(state, config):
    """All tensors: BF16, and the gate biases F32, shifted so that the smallest of a layer is 0.

    The shift changes no selection, and keeps every biased score positive: code that masks groups with 0.0
    instead of -inf then selects the same experts.
    """
    tensors = {"model.embed_tokens.weight": state["embed_tokens"], "model.norm.weight": state["norm.weight"],
               "lm_head.weight": state["lm_head"]}
    for number in range(config["num_hidden_layers"]):
        tensors |= layer_tensors(state, number, number < config["first_k_dense_replace"])
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    for number in range(config["first_k_dense_replace"], config["num_hidden_layers"]):
        bias = state[f"layers.{number}.mlp.bias"].float()
        tensors[f"model.layers.{number}.mlp.gate.e_score_correction_bias"] = bias - bias.min()
    return tensors


def write_json(path, content):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def main():
    trained, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((trained / "config.json").read_text())
    state = torch.load(trained / "state.pt")["model"]
    write_json(out / "config.json", config)
    write_json(out / "tokenizer_config.json", configuration.tokenizer_config())
    write_json(out / "generation_config.json", configuration.generation_config())
    shutil.copyfile(trained / "tokenizer.json", out / "tokenizer.json")
    partial = out / "model.safetensors.partial"
    save_file(checkpoint_tensors(state, config), partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # The library leaves it readable by its owner only.
    os.replace(partial, out / "model.safetensors")


if __name__ == "__main__":
    main()
