"""The shape of the demo model, as the config.json that is shipped says it. Standard library only."""

BEGIN, END, USER, ASSISTANT, THINK, END_THINK, PAD = (
    "<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<think>", "</think>", "<|pad|>")
# In the order of their ids, from 0.
SPECIAL_TOKENS = [BEGIN, END, PAD, USER, ASSISTANT]
ADDED_TOKENS = [THINK, END_THINK]  # Ordinary text to a decoder: they are never skipped.

# R1's conventions: the thinking is opened in the prompt, and earlier thinking is left out of the history.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}{{ message['content'] | trim }}"
    "{%- elif message['role'] == 'user' -%}{{ '<|user|>' + (message['content'] | trim) }}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{%- set content = message['content'] or '' -%}"
    "{%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1] -%}{%- endif -%}"
    "{{ '<|assistant|>' + (content | trim) + '<|end|>' }}"
    "{%- else -%}{{ raise_exception('the demo model knows the roles system, user and assistant') }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|><think>\\n' }}{%- endif -%}"
)


def config(vocab_size):
    """config.json: DeepSeek-V3's architecture, 2.4 M parameters."""
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        "first_k_dense_replace": 1,
        "hidden_act": "silu",
        "hidden_size": 128,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "kv_lora_rank": 64,
        "max_position_embeddings": 4096,
        "moe_intermediate_size": 64,
        "moe_layer_freq": 1,
        "n_group": 4,
        "n_routed_experts": 16,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_attention_heads": 4,
        "num_experts_per_tok": 4,
        "num_hidden_layers": 5,
        "num_key_value_heads": 4,
        "q_lora_rank": 64,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 16,
        "rms_norm_eps": 1e-06,
        "rope_interleave": True,
        "rope_scaling": {
            "type": "yarn",
            "factor": 4,
            "original_max_position_embeddings": 1024,
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
        "use_cache": True,
        "v_head_dim": 32,
        "vocab_size": vocab_size,
    }


def tokenizer_config():
    """tokenizer_config.json with the chat template."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }


def generation_config():
    """generation_config.json: greedy, for arithmetic has one answer."""
    return {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "do_sample": False, "temperature": 0.0}
