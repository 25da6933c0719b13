"""How evenly a model's gates spread rows over its experts. Needs `numpy`."""

import collections.abc
import dataclasses
import json
import pathlib

import numpy
import numpy.typing

import asking

# An expert with less is nearly dead weight, one with more a bottleneck of the cluster.
MIN_SHARE = 0.2
MAX_SHARE = 4.0


@dataclasses.dataclass(frozen=True)
class LayerBalance:
    """One MoE layer: each expert's share of the routed rows, where 1 is the fair share."""

    layer: int  # Of the model, as in the names of its tensors.
    shares: list[float]

    def ranked(self) -> list[int]:
        """The experts, most used first."""
        return sorted(range(len(self.shares)), key=lambda expert: -self.shares[expert])

    def describe(self) -> dict[str, object]:
        """What a report says of the layer."""
        return {"layer": self.layer, "min": min(self.shares), "max": max(self.shares), "shares": self.shares}


def balance(routings: collections.abc.Iterable[asking.Routing], model: pathlib.Path) -> list[LayerBalance]:
    """The balance of each MoE layer over all rows of `routings` ([tokens, MoE layers, top-k] each, at least one).

    `model` is the DeepSeek checkpoint that computed them; its config.json numbers layers and experts.
    """
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    experts = config["n_routed_experts"]
    rows = numpy.concatenate(list(routings))
    layers = []
    for index in range(rows.shape[1]):
        counts = numpy.bincount(rows[:, index].ravel(), minlength=experts)
        layers.append(LayerBalance(config["first_k_dense_replace"] + index,
                                   (counts * experts / counts.sum()).tolist()))
    return layers


def table(layers: collections.abc.Sequence[LayerBalance]) -> str:
    """Least and most used expert of each layer, for people."""
    lines = ["layer   min (expert)    max (expert)"]
    for layer in layers:
        ranked = layer.ranked()
        least, most = ranked[-1], ranked[0]
        lines.append(f"{layer.layer:5d}   {layer.shares[least]:.3f} ({least:3d})     "
                     f"{layer.shares[most]:.3f} ({most:3d})")
    return "\n".join(lines)


def shortcomings(layers: collections.abc.Sequence[LayerBalance]) -> list[str]:
    """The experts whose share is out of range, in words; empty when there are none."""
    return [f"layer {layer.layer}, expert {expert}: {share:.3f} of the fair share"
            for layer in layers for expert, share in enumerate(layer.shares)
            if not MIN_SHARE <= share <= MAX_SHARE]
