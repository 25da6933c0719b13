#!/usr/bin/env python3
"""Measures what the demo model loses without one of its experts.

    ablation.py three.json --report ablation.json

The first argument is a report of `evaluate.py --routing`, which says how much each expert is used. In every MoE
layer the most used, the median and the least used expert are zeroed, each alone in a copy of the checkpoint, and
the copy answers held-out problems. Needs the packages of tests/requirements.txt.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile

import asking
import problems
import repository
import routing
import scoring
import zero_expert

COUNT = 200


@dataclasses.dataclass(frozen=True)
class Expert:
    """One routed expert and how much it is used."""

    layer: int
    expert: int
    use: str
    share: float  # Of the rows of its layer; 1 is fair.


def chosen_experts(report: pathlib.Path) -> list[Expert]:
    """Most used, median and least used expert of every MoE layer of a report."""
    chosen = []
    for entry in json.loads(report.read_text(encoding="utf-8"))["routing"]:
        layer = routing.LayerBalance(entry["layer"], entry["shares"])
        ranked = layer.ranked()
        for use, rank in (("most", 0), ("median", len(ranked) // 2), ("least", -1)):
            chosen.append(Expert(layer.layer, ranked[rank], use, layer.shares[ranked[rank]]))
    return chosen


def accuracy(model: pathlib.Path, asked: list[problems.Problem], args: argparse.Namespace) -> float:
    """Share of right answers of a local cluster that serves `model`."""
    with repository.Cluster(model, shards=args.shards, binaries=args.bin) as cluster:
        answers = asking.ChatServer(cluster.url, args.max_tokens).ask_all([problem.question for problem in asked])
    return scoring.score(asked, answers).overall.share


def accuracy_without(expert: Expert, asked: list[problems.Problem], args: argparse.Namespace) -> float:
    """The same for a copy of the model without one expert."""
    with tempfile.TemporaryDirectory(prefix="moesaic-ablation-") as scratch:
        broken = pathlib.Path(scratch) / "model"
        zero_expert.zero_expert(args.model, broken, expert.layer, expert.expert)
        return accuracy(broken, asked, args)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("routing", type=pathlib.Path, help="a report of evaluate.py --routing")
    repository.add_cluster_arguments(parser)
    parser.add_argument("--count", type=int, default=COUNT, help="problems for each expert (%(default)s)")
    parser.add_argument("--max-tokens", type=int, default=asking.MAX_TOKENS, help="of an answer (%(default)s)")
    parser.add_argument("--report", type=pathlib.Path, help="where the JSON report goes")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    asked = problems.held_out_problems(args.count)
    whole = accuracy(args.model, asked, args)
    print(f"all experts: {whole:.3f} of {len(asked)} right\nlayer expert use     share  right change")
    rows = []
    for expert in chosen_experts(args.routing):
        share = accuracy_without(expert, asked, args)
        rows.append({**dataclasses.asdict(expert), "accuracy": share})
        print(f"{expert.layer:5d} {expert.expert:6d} {expert.use:6} {expert.share:6.3f}  {share:.3f} "
              f"{share - whole:+.3f}", flush=True)
    if args.report:
        report = {"count": len(asked), "accuracy": whole, "without": rows}
        repository.write_file(args.report, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
