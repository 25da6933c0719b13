#!/usr/bin/env python3
"""Copies a DeepSeek checkpoint and sets one routed expert's weights to zero, so that it contributes nothing.

    zero_expert.py models/demo /tmp/broken --layer 2 --expert 7

If answers stay right without an expert that the gate likes to choose, the model does not need it.
Needs the packages of tests/requirements.txt.
"""

import argparse
import pathlib

import repository

PROJECTIONS = ("gate_proj", "up_proj", "down_proj")


def zero_expert(source: pathlib.Path, destination: pathlib.Path, layer: int, expert: int) -> None:
    """Writes the copy to `destination`, which must not exist yet. Errors: KeyError if there is no such expert."""
    repository.copy(source, destination)
    for projection in PROJECTIONS:
        name = f"model.layers.{layer}.mlp.experts.{expert}.{projection}.weight"
        repository.overwrite_tensor(destination, name, b"\0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("destination", type=pathlib.Path)
    parser.add_argument("--layer", type=int, required=True, help="of the model, from 0; the first ones are dense")
    parser.add_argument("--expert", type=int, required=True, help="from 0")
    args = parser.parse_args()
    zero_expert(args.source, args.destination, args.layer, args.expert)


if __name__ == "__main__":
    main()
