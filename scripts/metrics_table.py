#!/usr/bin/env python3
"""Writes docs/metrics.md, the table of all metrics, from monitoring/catalogue/*.h.

With --check it changes nothing and fails when the page is not what it would write.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"
# Page order, with what each area is about.
AREAS = {
    "front": "What clients of a router see",
    "scheduler": "The scheduler and the steps of a router",
    "dispatch": "Dispatch to shards, as a router sees it",
    "shard": "A shard, as it sees itself",
    "placement": "Placement, as the coordinator sees it",
    "cost": "What it costs",
    "process": "Every process, and graphics cards",
}
DEFINITION = re.compile(r"inline constexpr (Counter|Gauge|Histogram)Def k\w+\{(.*?)\};", re.DOTALL)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def metrics_of(area):
    """(name, type, labels, help) of each metric of an area, in the order of the file."""
    text = (ROOT / "monitoring" / "catalogue" / f"{area}.h").read_text(encoding="utf-8")
    for kind, body in DEFINITION.findall(text):
        labels = re.search(r"\{\s*(\"\w+\"(?:\s*,\s*\"\w+\")*)\s*\}", body)
        names = STRING.findall(labels.group(1)) if labels else []
        if labels:
            body = body[:labels.start()] + body[labels.end():]
        name, *help_parts = STRING.findall(body)
        yield name, kind.lower(), names, "".join(help_parts)


def page():
    lines = [
        "# Metrics", "",
        "Every process serves its metrics at `/metrics` of its HTTP port, in Prometheus's text format.",
        "This page is made from `monitoring/catalogue/` by `scripts/metrics_table.py`. What to watch, and",
        "what to do about it, is in [operations.md](operations.md).",
        "",
        "How many time series that is, for DeepSeek-V3 (58 MoE layers of 256 experts) on 72 shards with 200",
        "tenants, as Prometheus counts (every bucket of a histogram is one): a router 2,744, a shard 51, the",
        "coordinator 650; a graphics card adds seven. A shard more adds 18 to each router, and one for every",
        "eight MoE layers to the coordinator; a tenant six to a router, and from the 201st on nothing: later",
        "ones share the name `other`. No series is by expert. A router keeps the series of shards that have gone",
        "until it restarts; names are meant to be used again. Tests hold it there (`*_series_test.cc`).",
    ]
    known = {path.stem for path in (ROOT / "monitoring" / "catalogue").glob("*.h")} - {"metric_def"}
    if known != set(AREAS):
        raise SystemExit(f"areas of the catalogue that this script does not know: {known ^ set(AREAS)}")
    for area, title in AREAS.items():
        lines += ["", f"## {title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        for name, kind, labels, text in metrics_of(area):
            shown = ", ".join(f"`{label}`" for label in labels)
            meaning = text.replace("|", "\\|")
            lines.append(f"| `{name}` | {kind} | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"


def main():
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not up to date: run scripts/metrics_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
