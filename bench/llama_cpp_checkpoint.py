#!/usr/bin/env python3
"""Converts a checkpoint of scripts/make_bench_checkpoint.py to GGUF (bf16), so that llama.cpp can be measured on
the same weights. `llama-quantize` makes the 8-bit form of it (Q8_0).

    bench/llama_cpp_checkpoint.py /tmp/v2-lite /tmp/v2-lite.gguf

Needs the PyPI packages gguf and numpy. Only what the two benchmark models have is converted.
"""

import argparse
import json
import mmap
import pathlib
import re
import struct

import gguf
import numpy as np

# Hugging Face name inside a layer -> GGUF name inside a block.
LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.kv_a_proj_with_mqa.weight": "attn_kv_a_mqa.weight",
    "self_attn.kv_a_layernorm.weight": "attn_kv_a_norm.weight",
    "mlp.gate.weight": "ffn_gate_inp.weight",
    "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "mlp.shared_experts.gate_proj.weight": "ffn_gate_shexp.weight",
    "mlp.shared_experts.up_proj.weight": "ffn_up_shexp.weight",
    "mlp.shared_experts.down_proj.weight": "ffn_down_shexp.weight",
}
MODEL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
F32_NAMES = re.compile(r"norm\.weight$|ffn_gate_inp\.weight$|\.bias$")


class Checkpoint:
    """The tensors of one safetensors file, mapped."""

    def __init__(self, directory):
        self.config = json.loads((directory / "config.json").read_text())
        file = open(directory / "model.safetensors", "rb")
        self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (length,) = struct.unpack("<Q", self.map[:8])
        self.entries = json.loads(self.map[8 : 8 + length])
        self.entries.pop("__metadata__", None)
        self.begin = 8 + length

    def bits(self, name):
        """The tensor as stored: float32, or uint16 holding bf16."""
        entry = self.entries[name]
        kind = np.float32 if entry["dtype"] == "F32" else np.uint16
        offset = self.begin + entry["data_offsets"][0]
        count = int(np.prod(entry["shape"]))
        return np.frombuffer(self.map, kind, count, offset).reshape(entry["shape"])


def to_f32(bits):
    return bits if bits.dtype == np.float32 else (bits.astype(np.uint32) << 16).view(np.float32)


def add(writer, name, bits):
    if F32_NAMES.search(name):
        writer.add_tensor(name, to_f32(bits))
    else:
        writer.add_tensor(name, np.ascontiguousarray(bits).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)


def add_experts(writer, checkpoint, layer, experts):
    for role in ("gate", "up", "down"):
        stacked = np.stack(
            [checkpoint.bits(f"model.layers.{layer}.mlp.experts.{e}.{role}_proj.weight") for e in range(experts)]
        )
        add(writer, f"blk.{layer}.ffn_{role}_exps.weight", stacked)


def add_latent_values(writer, checkpoint, layer, name):
    """kv_b as the two matrices that the absorbed form of the attention multiplies with."""
    config = checkpoint.config
    heads, nope, value = config["num_attention_heads"], config["qk_nope_head_dim"], config["v_head_dim"]
    kv_b = checkpoint.bits(name).reshape(heads, nope + value, config["kv_lora_rank"])
    add(writer, f"blk.{layer}.attn_k_b.weight", kv_b[:, :nope].transpose(0, 2, 1))
    add(writer, f"blk.{layer}.attn_v_b.weight", kv_b[:, nope:])


def add_tensors(writer, checkpoint, experts):
    for name, to in MODEL_NAMES.items():
        add(writer, to, checkpoint.bits(name))
    for name in checkpoint.entries:
        match = re.match(r"model\.layers\.(\d+)\.(.*)", name)
        if not match:
            continue
        layer, inner = int(match[1]), match[2]
        if inner == "mlp.experts.0.gate_proj.weight":
            add_experts(writer, checkpoint, layer, experts)
        elif inner.endswith("kv_b_proj.weight"):
            add_latent_values(writer, checkpoint, layer, name)
        elif ".experts." not in inner:
            add(writer, f"blk.{layer}.{LAYER_NAMES[inner]}", checkpoint.bits(name))


def add_parameters(writer, config, latent):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(1 if latent else config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    if not latent:
        writer.add_expert_count(config["num_experts"])
        return
    rank, rope = config["kv_lora_rank"], config["qk_rope_head_dim"]
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    writer.add_q_lora_rank(0)  # asked for by the reader; 0 is none
    writer.add_kv_lora_rank(rank)
    writer.add_key_length(rank + rope)
    writer.add_value_length(rank)
    writer.add_key_length_mla(config["qk_nope_head_dim"] + rope)
    writer.add_value_length_mla(config["v_head_dim"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_count(config["n_routed_experts"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_weights_norm(config["norm_topk_prob"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_rope_dimension_count(rope)


def add_tokenizer(writer, directory):
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    special = {entry["id"] for entry in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    )
    writer.add_token_merges([f"{tokens[3]} {tokens[4]}"])  # it wants one; the merged token does not exist
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("gguf", type=pathlib.Path)
    args = parser.parse_args()
    checkpoint = Checkpoint(args.checkpoint)
    config = checkpoint.config
    latent = config["model_type"] == "deepseek_v3"
    writer = gguf.GGUFWriter(args.gguf, "deepseek2" if latent else "olmoe")
    add_parameters(writer, config, latent)
    add_tokenizer(writer, args.checkpoint)
    add_tensors(writer, checkpoint, config["n_routed_experts" if latent else "num_experts"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
