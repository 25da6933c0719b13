#!/usr/bin/env python3
"""Checks every #include edge between the source folders against the layers of docs/architecture.md.

A folder may include what stands after it here, and what that may include. A new edge comes with a
note in docs/decisions/.
"""
import pathlib
import re
import sys

DIRECT = {
    "base": [],
    "proto": [],
    "monitoring": ["base"],
    "model": ["base"],
    "kernels": ["base"],
    "http": ["base", "monitoring"],
    "rpc": ["base", "proto", "monitoring", "kernels"],
    "placement/view": ["rpc"],
    "placement": ["placement/view", "rpc", "http"],
    "shard": ["model", "kernels", "rpc", "http", "placement/view"],
    "router": ["model", "kernels", "rpc", "http", "placement/view"],
    "services": ["router", "shard", "placement", "model", "kernels", "rpc", "http"],
    "bench": ["services"],
    "tests": ["services", "bench"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SOURCES = {".cc", ".h", ".cu", ".cuh"}


def layer_of(path):
    """The layer a repository path belongs to, or None for a path outside every layer."""
    matches = [layer for layer in DIRECT if path == layer or path.startswith(layer + "/")]
    return max(matches, key=len, default=None)


def reachable(layer):
    seen, todo = {layer}, [layer]
    while todo:
        for below in DIRECT[todo.pop()]:
            if below not in seen:
                seen.add(below)
                todo.append(below)
    return seen


def violations(root):
    allowed = {layer: reachable(layer) for layer in DIRECT}
    for layer in DIRECT:
        for source in sorted((root / layer).rglob("*")):
            if source.suffix not in SOURCES:
                continue
            path = source.relative_to(root).as_posix()
            for include in INCLUDE.findall(source.read_text(encoding="utf-8")):
                target = layer_of(include)
                if target and layer_of(path) == layer and target not in allowed[layer]:
                    yield f"{path}: {layer}/ may not include {include}"


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    found = list(violations(root))
    print("\n".join(found) if found else "every include edge follows the layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
