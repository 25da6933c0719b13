#!/usr/bin/env python3
"""Draws how the demo model's training went, for its model card. Needs `matplotlib`.

    loss_curve.py train_log.jsonl models/demo/loss_curve.svg

The log has one JSON object a line: step, tokens, minutes, loss and, now and then, eval (kind -> share of
held-out problems answered token by token as taught). Equal logs give equal pictures.
"""

import argparse
import json
import pathlib
import typing

import matplotlib

matplotlib.use("agg")

import matplotlib.axes  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402

MAX_POINTS = 600  # Of the curve; more cannot be seen and only make the file larger.

Line: typing.TypeAlias = dict[str, typing.Any]


def read_log(path: pathlib.Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def thinned(lines: list[Line]) -> list[tuple[float, float]]:
    """(tokens in millions, mean loss) of at most MAX_POINTS stretches of equally many lines."""
    size = -(-len(lines) // MAX_POINTS)
    stretches = [lines[start : start + size] for start in range(0, len(lines), size)]
    return [(stretch[-1]["tokens"] / 1e6, sum(line["loss"] for line in stretch) / len(stretch))
            for stretch in stretches]


def draw_loss(axes: matplotlib.axes.Axes, lines: list[Line]) -> None:
    tokens, losses = zip(*thinned(lines), strict=True)
    axes.plot(tokens, losses, color="#1f4e79", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("loss per answer token (nats)")


def draw_accuracy(axes: matplotlib.axes.Axes, lines: list[Line]) -> None:
    """A line a kind of problem, over the lines of the log that have an evaluation."""
    evaluated = [line for line in lines if "eval" in line]
    for kind in sorted({kind for line in evaluated for kind in line["eval"]}):
        points = [(line["tokens"] / 1e6, line["eval"][kind]) for line in evaluated if kind in line["eval"]]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1, label=kind.replace("_", " "))
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("held-out problems right (share)")
    if evaluated:
        axes.legend(loc="best", fontsize="small")


def draw(lines: list[Line], out: pathlib.Path) -> None:
    """Loss above, accuracy below, over the training tokens; SVG or PNG by the name of `out`."""
    # Text as text and fixed ids keep an SVG small and the same each time.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "moesaic"})
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
    draw_loss(upper, lines)
    draw_accuracy(lower, lines)
    upper.set_title(f"{lines[-1]['step']:,} steps, {lines[-1]['minutes']:.0f} minutes")
    lower.set_xlabel("training tokens (millions)")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(out, dpi=110, metadata={"Date": None} if out.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path, help=".svg or .png")
    args = parser.parse_args()
    draw(read_log(args.log), args.out)


if __name__ == "__main__":
    main()
