#!/usr/bin/env python3
"""Writes a tiny DeepSeek-V3-style checkpoint with random weights, for demonstrations and tests.

    scripts/make_tiny_checkpoint.py models/tiny --seed 1

Every part of the architecture is there (latent attention with YaRN, a dense layer, MoE layers with grouped
sigmoid gating and a shared expert), so it takes the path of the real models; what it says is random letters.
The same seed gives the same bytes on every machine. Standard library only.
"""

import argparse
import json
import os
import pathlib
import random
import struct
import tempfile

HIDDEN, DENSE_INTERMEDIATE, EXPERT_INTERMEDIATE = 96, 192, 48
LAYERS, DENSE_LAYERS, EXPERTS, TOP_K = 5, 1, 16, 4
HEADS, Q_LORA, KV_LORA, NOPE, ROPE, V = 4, 48, 32, 16, 16, 16
BOS, EOS, PAD, FIRST_BYTE = 0, 1, 2, 3
VOCAB = FIRST_BYTE + 256

# Channel 0 of the residual stream holds a constant: every embedding sets it and no layer writes to it. The head
# uses it to push down all tokens but these, so that the random text is at least printable.
PRINTED = b"abcdefghijklmnopqrstuvwxyz ,."
CONSTANT, PUSH_DOWN = 2.0, -8.0


def bf16(value):
    """The two bytes of a value that bf16 holds exactly."""
    packed = struct.pack("<f", value)
    assert packed[:2] == b"\0\0", value
    return packed[2:]


class Weights:
    """Named bf16 tensors made of uniform random values, 8 significant bits each and so exact."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tensors = {}  # name -> (dtype, shape, bytes)

    def matrix(self, name, rows, cols, scale, first_column=None, zero_first_row=False):
        """[rows, cols] in (-scale, scale), scale a power of two. first_column: row -> value in column 0."""
        table = [bf16((2 * b - 255) / 256 * scale) for b in range(256)]
        data = bytearray()
        for row in range(rows):
            values = [table[b] for b in self.random.randbytes(cols)]
            if first_column is not None:
                values[0] = bf16(first_column(row))
            if zero_first_row and row == 0:
                values = [bf16(0.0)] * cols
            data += b"".join(values)
        self.tensors[name + ".weight"] = ("BF16", [rows, cols], bytes(data))

    def norm(self, name, width):
        self.tensors[name + ".weight"] = ("BF16", [width], bf16(1.0) * width)

    def f32(self, name, width, scale):
        values = [(2 * b - 255) / 256 * scale for b in self.random.randbytes(width)]
        self.tensors[name] = ("F32", [width], struct.pack(f"<{width}f", *values))

    def mlp(self, prefix, intermediate):
        self.matrix(prefix + ".gate_proj", intermediate, HIDDEN, 0.25)
        self.matrix(prefix + ".up_proj", intermediate, HIDDEN, 0.25)
        self.matrix(prefix + ".down_proj", HIDDEN, intermediate, 0.25, zero_first_row=True)

    def attention(self, prefix):
        self.matrix(prefix + ".q_a_proj", Q_LORA, HIDDEN, 0.25)
        self.norm(prefix + ".q_a_layernorm", Q_LORA)
        self.matrix(prefix + ".q_b_proj", HEADS * (NOPE + ROPE), Q_LORA, 0.25)
        self.matrix(prefix + ".kv_a_proj_with_mqa", KV_LORA + ROPE, HIDDEN, 0.25)
        self.norm(prefix + ".kv_a_layernorm", KV_LORA)
        self.matrix(prefix + ".kv_b_proj", HEADS * (NOPE + V), KV_LORA, 0.25)
        self.matrix(prefix + ".o_proj", HIDDEN, HEADS * V, 0.25, zero_first_row=True)

    def layer(self, number):
        prefix = f"model.layers.{number}"
        self.norm(prefix + ".input_layernorm", HIDDEN)
        self.attention(prefix + ".self_attn")
        self.norm(prefix + ".post_attention_layernorm", HIDDEN)
        if number < DENSE_LAYERS:
            self.mlp(prefix + ".mlp", DENSE_INTERMEDIATE)
            return
        # The constant channel would favour the same experts for every token.
        self.matrix(prefix + ".mlp.gate", EXPERTS, HIDDEN, 0.5, first_column=lambda row: 0.0)
        self.f32(prefix + ".mlp.gate.e_score_correction_bias", EXPERTS, 0.0625)
        for expert in range(EXPERTS):
            self.mlp(f"{prefix}.mlp.experts.{expert}", EXPERT_INTERMEDIATE)
        self.mlp(prefix + ".mlp.shared_experts", EXPERT_INTERMEDIATE)


def make_weights(seed):
    weights = Weights(seed)
    printed = {FIRST_BYTE + byte for byte in PRINTED}
    weights.matrix("model.embed_tokens", VOCAB, HIDDEN, 1.0, first_column=lambda row: CONSTANT)
    for number in range(LAYERS):
        weights.layer(number)
    weights.norm("model.norm", HIDDEN)
    weights.matrix(
        "lm_head", VOCAB, HIDDEN, 0.5,
        first_column=lambda token: 0.0 if token in printed else PUSH_DOWN,
    )
    return weights.tensors


def safetensors_bytes(tensors):
    header, parts, position = {"__metadata__": {"format": "pt"}}, [], 0
    # Widest elements first keeps every tensor aligned to its element size.
    for name, (dtype, shape, data) in sorted(tensors.items(), key=lambda t: (t[1][0] != "F32", t[0])):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + len(data)]}
        parts.append(data)
        position += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def config():
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "attention_bias": False,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "first_k_dense_replace": DENSE_LAYERS,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": DENSE_INTERMEDIATE,
        "kv_lora_rank": KV_LORA,
        "max_position_embeddings": 8192,
        "moe_intermediate_size": EXPERT_INTERMEDIATE,
        "moe_layer_freq": 1,
        "n_group": 4,
        "n_routed_experts": EXPERTS,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_attention_heads": HEADS,
        "num_experts_per_tok": TOP_K,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "q_lora_rank": Q_LORA,
        "qk_nope_head_dim": NOPE,
        "qk_rope_head_dim": ROPE,
        "rms_norm_eps": 1e-06,
        "rope_scaling": {
            "type": "yarn",
            "factor": 4,
            "original_max_position_embeddings": 2048,
            "beta_fast": 32,
            "beta_slow": 1,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
        },
        "rope_theta": 10000,
        "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid",
        "tie_word_embeddings": False,
        "topk_group": 2,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "v_head_dim": V,
        "vocab_size": VOCAB,
    }


def byte_characters():
    """GPT-2's printable stand-in for every byte, by byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) if b in printable else chr(256 + rest.index(b)) for b in range(256)]


SPECIAL = {BOS: "<|begin|>", EOS: "<|end|>", PAD: "<|pad|>"}


def byte_tokenizer(special, vocab):
    """A byte-level BPE without merges. special: id -> text; vocab: text -> id, the special ones included."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for number, content in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [],
        },
    }


def tokenizer():
    vocab = {content: number for number, content in SPECIAL.items()}
    vocab.update({char: FIRST_BYTE + byte for byte, char in enumerate(byte_characters())})
    return byte_tokenizer(SPECIAL, vocab)


def tokenizer_config():
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": SPECIAL[BOS],
        "eos_token": SPECIAL[EOS],
        "pad_token": SPECIAL[PAD],
        "model_max_length": 8192,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": "{{ bos_token }}{% for message in messages %}"
        "{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    }


def write_file(path, data):
    """Replaces path at once, so that no interruption leaves half a file."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.chmod(out.name, 0o644)
    os.replace(out.name, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, help="where the checkpoint goes")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    documents = {
        "config.json": config(),
        "generation_config.json": {"bos_token_id": BOS, "eos_token_id": EOS, "do_sample": True, "temperature": 0.8},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": tokenizer_config(),
    }
    for name, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
        write_file(args.directory / name, text.encode())
    write_file(args.directory / "model.safetensors", safetensors_bytes(make_weights(args.seed)))


if __name__ == "__main__":
    main()
