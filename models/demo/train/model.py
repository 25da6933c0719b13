"""The training model: DeepSeek-V3's architecture with grouped expert products, equal to Hugging Face's on logits.

Rows of several packed examples; attention sees only tokens of its own example. Shapes: B rows, T tokens a row,
H hidden, E experts, I expert width, K experts a token.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def linear(rows, cols, scale=1.0):
    """A [rows, cols] matrix without bias, uniform with variance scale² / cols."""
    bound = scale * math.sqrt(3.0 / cols)
    return nn.Parameter(torch.empty(rows, cols).uniform_(-bound, bound))


def experts(count, rows, cols, scale=1.0):
    """[count, rows, cols], each as `linear`."""
    return nn.Parameter(torch.stack([linear(rows, cols, scale).data for _ in range(count)]))


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def yarn_frequencies(config):
    """Inverse frequencies [rope / 2] and the factor on the softmax scale (YaRN, as in models of this family)."""
    dim, base, scaling = config["qk_rope_head_dim"], config["rope_theta"], config["rope_scaling"]
    original = scaling["original_max_position_embeddings"]

    def correction(rotations):
        return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(correction(scaling["beta_fast"])), 0)
    high = min(math.ceil(correction(scaling["beta_slow"])), dim - 1)
    ramp = ((torch.arange(dim // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
    frequencies = base ** (-torch.arange(0, dim, 2) / dim)
    mscale = 0.1 * scaling["mscale_all_dim"] * math.log(scaling["factor"]) + 1
    return frequencies / scaling["factor"] * ramp + frequencies * (1 - ramp), mscale * mscale


def rotate(x, cos, sin):
    """Rotates interleaved pairs of x [B, heads, T, rope] by position; cos and sin [T, rope / 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Attention(nn.Module):
    """Multi-head latent attention in its naive form."""

    def __init__(self, config):
        super().__init__()
        hidden, eps = config["hidden_size"], config["rms_norm_eps"]
        self.heads, self.nope, self.rope = (
            config["num_attention_heads"], config["qk_nope_head_dim"], config["qk_rope_head_dim"])
        self.v, self.latent = config["v_head_dim"], config["kv_lora_rank"]
        self.q_a_proj = linear(config["q_lora_rank"], hidden)
        self.q_a_layernorm = RmsNorm(config["q_lora_rank"], eps)
        self.q_b_proj = linear(self.heads * (self.nope + self.rope), config["q_lora_rank"])
        self.kv_a_proj_with_mqa = linear(self.latent + self.rope, hidden)
        self.kv_a_layernorm = RmsNorm(self.latent, eps)
        self.kv_b_proj = linear(self.heads * (self.nope + self.v), self.latent)
        self.o_proj = linear(hidden, self.heads * self.v, 0.4)
        self.softmax_scale = (self.nope + self.rope) ** -0.5 * yarn_frequencies(config)[1]

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        q = self.q_a_layernorm(x @ self.q_a_proj.t()) @ self.q_b_proj.t()
        q = q.view(batch, length, self.heads, -1).transpose(1, 2)
        q_nope, q_rope = q.split([self.nope, self.rope], -1)
        latent, k_rope = (x @ self.kv_a_proj_with_mqa.t()).split([self.latent, self.rope], -1)
        kv = (self.kv_a_layernorm(latent) @ self.kv_b_proj.t()).view(batch, length, self.heads, -1).transpose(1, 2)
        k_nope, v = kv.split([self.nope, self.v], -1)
        k_rope = rotate(k_rope.unsqueeze(1), cos, sin).expand(-1, self.heads, -1, -1)
        q = torch.cat((q_nope, rotate(q_rope, cos, sin)), -1)
        k = torch.cat((k_nope, k_rope), -1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.softmax_scale)
        return out.transpose(1, 2).reshape(batch, length, -1) @ self.o_proj.t()


def swiglu(x, gate, up, down):
    return (F.silu(x @ gate.t()) * (x @ up.t())) @ down.t()


class Mlp(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj, self.up_proj = linear(width, hidden), linear(width, hidden)
        self.down_proj = linear(hidden, width, 0.4)

    def forward(self, x):
        return swiglu(x, self.gate_proj, self.up_proj, self.down_proj)


class GroupedExperts(torch.autograd.Function):
    """y[row] = SwiGLU of the row's expert, for rows sorted by expert: one product per expert and matrix.

    x [N, H] sorted by expert; counts: rows per expert; gate, up [E, I, H]; down [E, H, I] → [N, H].
    """

    @staticmethod
    def forward(ctx, x, counts, gate, up, down):
        g, u = x.new_empty(x.shape[0], gate.shape[1]), x.new_empty(x.shape[0], gate.shape[1])
        bounds = spans(counts)
        for e, begin, end in bounds:
            torch.mm(x[begin:end], gate[e].t(), out=g[begin:end])
            torch.mm(x[begin:end], up[e].t(), out=u[begin:end])
        silu = F.silu(g)
        a = silu * u
        y = torch.empty_like(x)
        for e, begin, end in bounds:
            torch.mm(a[begin:end], down[e].t(), out=y[begin:end])
        ctx.save_for_backward(x, g, u, silu, a, gate, up, down)
        ctx.bounds = bounds
        return y

    @staticmethod
    def backward(ctx, dy):
        x, g, u, silu, a, gate, up, down = ctx.saved_tensors
        da, dx = torch.empty_like(a), torch.empty_like(x)
        dgate, dup, ddown = torch.zeros_like(gate), torch.zeros_like(up), torch.zeros_like(down)
        for e, begin, end in ctx.bounds:
            torch.mm(dy[begin:end], down[e], out=da[begin:end])
            torch.mm(dy[begin:end].t(), a[begin:end], out=ddown[e])
        sigmoid = torch.sigmoid(g)
        dg = da * u * (sigmoid + silu * (1 - sigmoid))
        du = da * silu
        for e, begin, end in ctx.bounds:
            torch.mm(dg[begin:end], gate[e], out=dx[begin:end])
            dx[begin:end].addmm_(du[begin:end], up[e])
            torch.mm(dg[begin:end].t(), x[begin:end], out=dgate[e])
            torch.mm(du[begin:end].t(), x[begin:end], out=dup[e])
        return dx, None, dgate, dup, ddown


def spans(counts):
    """[(expert, begin, end)] of the experts that have rows."""
    result, begin = [], 0
    for expert, count in enumerate(counts):
        if count:
            result.append((expert, begin, begin + count))
        begin += count
    return result


class TakeRows(torch.autograd.Function):
    """x[order // K]: every token K times, in expert order. Its gradient is a gather and a sum, not a scatter."""

    @staticmethod
    def forward(ctx, x, order, inverse, top_k):
        ctx.inverse, ctx.top_k = inverse, top_k
        return x.index_select(0, order // top_k)

    @staticmethod
    def backward(ctx, dy):
        return dy.index_select(0, ctx.inverse).view(-1, ctx.top_k, dy.shape[1]).sum(1), None, None, None


class Reorder(torch.autograd.Function):
    """x[inverse], whose gradient is dy[order]."""

    @staticmethod
    def forward(ctx, x, order, inverse):
        ctx.order = order
        return x.index_select(0, inverse)

    @staticmethod
    def backward(ctx, dy):
        return dy.index_select(0, ctx.order), None, None


class Moe(nn.Module):
    """Routed experts chosen as DeepSeek-V3 does (sigmoid scores, groups, correction bias), and a shared one."""

    def __init__(self, config):
        super().__init__()
        hidden, width, count = config["hidden_size"], config["moe_intermediate_size"], config["n_routed_experts"]
        self.top_k, self.groups, self.top_groups = (
            config["num_experts_per_tok"], config["n_group"], config["topk_group"])
        self.scaling = config["routed_scaling_factor"]
        self.gate = linear(count, hidden)
        self.register_buffer("bias", torch.zeros(count))
        self.gate_proj, self.up_proj = experts(count, width, hidden), experts(count, width, hidden)
        self.down_proj = experts(count, hidden, width, 0.4)
        self.shared = Mlp(hidden, width * config["n_shared_experts"])
        self.load = None  # Rows of each expert in the last forward, padding left out.

    def choose(self, scores):
        """The K experts of each token [N, K], by biased score within the best groups."""
        biased = scores + self.bias
        grouped = biased.view(len(scores), self.groups, -1)
        group_scores = grouped.topk(2, dim=-1)[0].sum(-1)
        kept = torch.zeros_like(group_scores).scatter_(1, group_scores.topk(self.top_groups, dim=-1)[1], 1.0)
        masked = grouped.masked_fill(kept.unsqueeze(-1) == 0, float("-inf")).flatten(1)
        return masked.topk(self.top_k, dim=-1)[1]

    def forward(self, x, real):
        flat = x.reshape(-1, x.shape[-1])
        scores = torch.sigmoid(flat @ self.gate.t())
        with torch.no_grad():
            chosen = self.choose(scores)
            self.load = torch.bincount(chosen[real.reshape(-1)].flatten(), minlength=len(self.bias))
            order = chosen.flatten().argsort(stable=True)
            inverse = torch.empty_like(order)
            inverse[order] = torch.arange(len(order))
            counts = torch.bincount(chosen.flatten(), minlength=len(self.bias)).tolist()
        weights = scores.gather(1, chosen)
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * self.scaling
        rows = TakeRows.apply(flat, order, inverse, self.top_k)
        rows = GroupedExperts.apply(rows, counts, self.gate_proj, self.up_proj, self.down_proj)
        rows = Reorder.apply(rows, order, inverse).view(len(flat), self.top_k, -1)
        routed = torch.einsum("nkh,nk->nh", rows, weights)
        return (routed + self.shared(flat)).view_as(x)


class Layer(nn.Module):
    def __init__(self, config, number):
        super().__init__()
        hidden, eps = config["hidden_size"], config["rms_norm_eps"]
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(hidden, eps), RmsNorm(hidden, eps)
        self.self_attn = Attention(config)
        self.dense = number < config["first_k_dense_replace"]
        self.mlp = Mlp(hidden, config["intermediate_size"]) if self.dense else Moe(config)

    def forward(self, x, cos, sin, mask, real):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        y = self.post_attention_layernorm(x)
        return x + (self.mlp(y) if self.dense else self.mlp(y, real))


class DemoModel(nn.Module):
    """Logits of the wanted positions of packed rows."""

    def __init__(self, config):
        super().__init__()
        hidden, vocabulary = config["hidden_size"], config["vocab_size"]
        self.embed_tokens = nn.Parameter(torch.randn(vocabulary, hidden) * 0.5)
        self.layers = nn.ModuleList(Layer(config, n) for n in range(config["num_hidden_layers"]))
        self.norm = RmsNorm(hidden, config["rms_norm_eps"])
        self.lm_head = nn.Parameter(torch.randn(vocabulary, hidden) * 0.02)
        self.register_buffer("frequencies", yarn_frequencies(config)[0], persistent=False)

    def moe_layers(self):
        return [layer.mlp for layer in self.layers if not layer.dense]

    def forward(self, ids, segments, wanted):
        """ids, segments [B, T] (segment 0 is padding); wanted: bool [B, T] → logits [sum(wanted), vocabulary]."""
        length = ids.shape[1]
        angles = torch.outer(torch.arange(length), self.frequencies)
        cos, sin = angles.cos(), angles.sin()
        same = segments.unsqueeze(1) == segments.unsqueeze(2)
        mask = (same & torch.ones(length, length, dtype=torch.bool).tril()).unsqueeze(1)
        x, real = F.embedding(ids, self.embed_tokens), segments > 0
        for layer in self.layers:
            x = layer(x, cos, sin, mask, real)
        return self.norm(x[wanted]) @ self.lm_head.t()
