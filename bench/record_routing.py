#!/usr/bin/env python3
"""Records how the demo model routes, for placement_sim: rows of each expert, by kind of question.

    record_routing.py bench/data/demo_routing.txt

A local cluster answers held-out problems of the demo model greedily. The file has a line for each
kind of problem and MoE layer: kind, layer, and the rows of every expert over all tokens of the
prompts and answers. Needs what the integration tests need; equal models give equal files.
"""

import argparse
import collections
import pathlib
import sys

import numpy

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "models" / "demo" / "train"))

import problems  # noqa: E402
import repository  # noqa: E402

PROBLEMS = 200
MAX_TOKENS = 512  # More than twice the longest answer the model is taught.
EXPERTS = 16

HEAD = f"""# Rows of each routed expert of the demo model (models/demo) over {PROBLEMS} held-out problems and their
# greedy answers, by kind of problem and MoE layer. Written by bench/record_routing.py.
"""


def rows_of(cluster, question: str) -> numpy.ndarray:
    """Rows of each expert, [MoE layers, experts]."""
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": MAX_TOKENS,
            "return_routed_experts": True}
    response = cluster.http.post("/v1/chat/completions", json=body).raise_for_status().json()
    chosen = repository.decode_routing(response["choices"][0])
    return numpy.stack([numpy.bincount(chosen[:, layer].ravel(), minlength=EXPERTS)
                        for layer in range(chosen.shape[1])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    repository.add_cluster_arguments(parser)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    rows: dict[str, numpy.ndarray] = collections.defaultdict(lambda: 0)
    with repository.Cluster(args.model, shards=args.shards, binaries=args.bin,
                            enable_return_routed_experts="true") as cluster:
        for problem in problems.held_out_problems(PROBLEMS):
            rows[problem.kind] = rows[problem.kind] + rows_of(cluster, problem.question)
    lines = [" ".join([kind, str(layer), *map(str, counts)])
             for kind in sorted(rows) for layer, counts in enumerate(rows[kind].tolist())]
    args.out.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
