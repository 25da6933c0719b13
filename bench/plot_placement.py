#!/usr/bin/env python3
"""Draws what placement_sim found, for docs/placement.md: placement by predicted time beside the published balancer.

    plot_placement.py result.json docs/placement.svg

Plain SVG, without a library; equal results give equal pictures.
"""

import argparse
import json
import pathlib
import typing

Row: typing.TypeAlias = dict[str, typing.Any]

OURS, PUBLISHED, GREY = "#1f4e79", "#c55a11", "#888"
WIDTH, PANEL_HEIGHT, LEFT, TOP, GAP = 1040, 190, 60, 64, 66
BAR, PAIR_GAP, GROUP_GAP = 8, 8, 26


def text(x: float, y: float, content: str, anchor: str = "middle", size: int = 11, color: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{content}</text>'


def bar(x: float, y: float, height: float, color: str, title: str) -> str:
    return (f'<rect x="{x:.1f}" y="{y - height:.1f}" width="{BAR}" height="{max(height, 0.5):.1f}" fill="{color}">'
            f"<title>{title}</title></rect>")


def panel(rows: list[Row], top: float, title: str, value: typing.Callable[[Row, str], float], unit: str) -> list[str]:
    """One row of bars: groups by machines and load, in each a pair for every number of shards."""
    largest = max(value(row, who) for row in rows for who in ("ours", "published"))
    bottom = top + PANEL_HEIGHT
    parts = [text(LEFT, top - 10, title, "start", 13)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = bottom - share * PANEL_HEIGHT
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 16}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y + 4, f"{share * largest:.2g}{unit}", "end", 10, GREY))
    x = LEFT + 12
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["machines"], row["load"]), []).append(row)
    for (machines, load), group in groups.items():
        start = x
        for row in group:
            for who, color in (("ours", OURS), ("published", PUBLISHED)):
                figure = value(row, who)
                parts.append(bar(x, bottom, figure / largest * PANEL_HEIGHT, color,
                                 f"{machines}, {load}, {row['shards']} shards, {who}: {figure:.3g}{unit}"))
                x += BAR
            parts.append(text(x - BAR, bottom + 12, str(row["shards"]), size=8, color=GREY))
            x += PAIR_GAP
        middle = (start + x - PAIR_GAP) / 2
        parts.append(text(middle, bottom + 26, load, size=11))
        parts.append(text(middle, bottom + 40, machines, size=10, color=GREY))
        x += GROUP_GAP - PAIR_GAP
    return parts


def draw(rows: list[Row]) -> str:
    panels = [
        ("decode: time of a step / that of a perfect one", "decode", lambda row, who: row[who]["imbalance"], ""),
        ("prefill: time of a step / that of a perfect one", "prefill", lambda row, who: row[who]["imbalance"], ""),
        ("decode: moved in each window after the first", "decode", lambda row, who: row[who]["moved_bytes"] / 1e9, " GB"),
    ]
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for i, (color, label) in enumerate(((OURS, "by predicted time"), (PUBLISHED, "published balancer"))):
        x = LEFT + i * 180
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{color}"/>')
        parts.append(text(x + 18, 22, label, "start", 12))
    for i, (title, phase, value, unit) in enumerate(panels):
        parts += panel([row for row in rows if row["phase"] == phase], TOP + i * (PANEL_HEIGHT + GAP), title, value, unit)
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    args.out.write_text(draw(json.loads(args.result.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
