#!/usr/bin/env python3
"""Writes a random-weight checkpoint of a real model's dimensions, in the Hugging Face layout, for benchmarks.

    .venv/bin/python scripts/make_bench_checkpoint.py v2-lite /tmp/v2-lite
    .venv/bin/python scripts/make_bench_checkpoint.py olmoe /tmp/olmoe --seed 1

v2-lite: the layers of DeepSeek-V2-Lite with sigmoid gating and a correction bias, 1 dense and 3 MoE (3.9 GB);
olmoe: those of OLMoE-1B-7B, 6 of them (5.3 GB). Vocabulary 32,000: the bytes, and tokens that no text reaches.
Weights are normal with the deviation the models were initialised with, in bf16. The same seed gives the same
bytes. Needs numpy (tests/requirements.txt).
"""

import argparse
import json
import os
import pathlib
import struct

import numpy as np

from make_tiny_checkpoint import byte_characters, byte_tokenizer

VOCAB, FIRST_BYTE = 32000, 3
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>"]
DEVIATION = 0.02

V2_LITE = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 4,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "rms_norm_eps": 1e-06,
}
OLMOE = {
    "architectures": ["OlmoeForCausalLM"],
    "model_type": "olmoe",
    "hidden_size": 2048,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "norm_topk_prob": False,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "clip_qkv": None,
    "rms_norm_eps": 1e-05,
}
COMMON = {
    "attention_bias": False,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": VOCAB,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
MODELS = {"v2-lite": V2_LITE | COMMON, "olmoe": OLMOE | COMMON}


def mlp(prefix, hidden, intermediate):
    yield f"{prefix}.gate_proj.weight", (intermediate, hidden)
    yield f"{prefix}.up_proj.weight", (intermediate, hidden)
    yield f"{prefix}.down_proj.weight", (hidden, intermediate)


def latent_attention(prefix, config):
    hidden, heads, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    yield f"{prefix}.q_proj.weight", (heads * (nope + rope), hidden)
    yield f"{prefix}.kv_a_proj_with_mqa.weight", (rank + rope, hidden)
    yield f"{prefix}.kv_a_layernorm.weight", (rank,)
    yield f"{prefix}.kv_b_proj.weight", (heads * (nope + value), rank)
    yield f"{prefix}.o_proj.weight", (hidden, heads * value)


def grouped_attention(prefix, config):
    hidden = config["hidden_size"]
    for name in "qkvo":
        yield f"{prefix}.{name}_proj.weight", (hidden, hidden)
    yield f"{prefix}.q_norm.weight", (hidden,)
    yield f"{prefix}.k_norm.weight", (hidden,)


def layer(number, config):
    prefix, hidden = f"model.layers.{number}", config["hidden_size"]
    latent = config["model_type"] == "deepseek_v3"
    experts = config["n_routed_experts" if latent else "num_experts"]
    width = config["moe_intermediate_size" if latent else "intermediate_size"]
    yield f"{prefix}.input_layernorm.weight", (hidden,)
    yield f"{prefix}.post_attention_layernorm.weight", (hidden,)
    yield from (latent_attention if latent else grouped_attention)(f"{prefix}.self_attn", config)
    if number < config.get("first_k_dense_replace", 0):
        yield from mlp(f"{prefix}.mlp", hidden, config["intermediate_size"])
        return
    yield f"{prefix}.mlp.gate.weight", (experts, hidden)
    if latent:
        yield f"{prefix}.mlp.gate.e_score_correction_bias", (experts,)
        yield from mlp(f"{prefix}.mlp.shared_experts", hidden, config["n_shared_experts"] * width)
    for expert in range(experts):
        yield from mlp(f"{prefix}.mlp.experts.{expert}", hidden, width)


def tensors(config):
    """(name, shape) of every tensor, in the order of the file."""
    yield "model.embed_tokens.weight", (VOCAB, config["hidden_size"])
    for number in range(config["num_hidden_layers"]):
        yield from layer(number, config)
    yield "model.norm.weight", (config["hidden_size"],)
    yield "lm_head.weight", (VOCAB, config["hidden_size"])


def is_f32(name):
    return name.endswith("e_score_correction_bias")


def to_bf16(values):
    """f32 to bf16 bits, nearest even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def values_of(name, shape, generator):
    if name.endswith("norm.weight"):
        return np.ones(shape, np.float32)
    values = generator.standard_normal(shape, np.float32)
    values *= DEVIATION
    return values


def write_weights(path, config, seed):
    names = list(tensors(config))
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in names:
        size = int(np.prod(shape)) * (4 if is_f32(name) else 2)
        header[name] = {
            "dtype": "F32" if is_f32(name) else "BF16",
            "shape": list(shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = np.random.default_rng(seed)
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in names:
            values = values_of(name, shape, generator)
            file.write((values if is_f32(name) else to_bf16(values)).tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return offset


def vocabulary():
    """[VOCAB] the text of every token."""
    tokens = SPECIAL + byte_characters()
    return tokens + [f"w{number}" for number in range(len(tokens), VOCAB)]


def tokenizer():
    return byte_tokenizer(dict(enumerate(SPECIAL)), {text: i for i, text in enumerate(vocabulary())})


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "add_bos_token": False,
    "add_eos_token": False,
    "bos_token": SPECIAL[0],
    "eos_token": SPECIAL[1],
    "pad_token": SPECIAL[2],
    "model_max_length": 8192,
    "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    config = MODELS[args.model]
    args.directory.mkdir(parents=True, exist_ok=True)
    for name, content in [
        ("config.json", config),
        ("generation_config.json", {"bos_token_id": 0, "eos_token_id": 1}),
        ("tokenizer.json", tokenizer()),
        ("tokenizer_config.json", TOKENIZER_CONFIG),
    ]:
        (args.directory / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    size = write_weights(args.directory / "model.safetensors", config, args.seed)
    print(f"{args.directory}: {args.model}, {size / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
