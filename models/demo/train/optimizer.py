"""Muon for the matrices inside the layers, AdamW for embeddings, head, gates and norms.

Muon (K. Jordan, 2024): momentum, made orthogonal by a Newton-Schulz iteration; scaled by 0.2·√max(rows, cols) so
that AdamW's learning rate and decay fit both (Moonlight, 2025).
"""

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices):
    """The nearest semi-orthogonal matrices, roughly; [..., rows, cols]."""
    a, b, c = NEWTON_SCHULZ
    x = matrices if matrices.dim() == 3 else matrices.unsqueeze(0)
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    x = x.transpose(1, 2) if tall else x
    return x.reshape(matrices.shape)


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                update = orthogonalize(parameter.grad + group["momentum"] * momentum)
                scale = 0.2 * max(parameter.shape[-2:]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


def make_optimizers(model, lr):
    """[Muon, AdamW] over all parameters of the model."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        outside = parameter.dim() == 1 or name in ("embed_tokens", "lm_head") or name.endswith("mlp.gate")
        (others if outside else matrices).append(parameter)
    return [Muon(matrices, lr), torch.optim.AdamW(others, lr, betas=(0.9, 0.95), weight_decay=0.01)]
