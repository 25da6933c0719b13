#!/usr/bin/env python3
"""Asks the demo model held-out problems through an OpenAI-compatible server and scores the answers.

    evaluate.py --shards 3 --report three.json               a local cluster, started for this
    evaluate.py --shards 3 --routing                         with the balance of the experts
    evaluate.py --url http://127.0.0.1:8000                  a server that runs already
    evaluate.py --compare one.json three.json five.json      asks nothing: do these reports hold the same answers?

Needs the packages of tests/requirements.txt. Exit code 1 when the model falls short of the limits or the reports
differ.
"""

import argparse
import collections.abc
import contextlib
import dataclasses
import hashlib
import json
import pathlib
import sys
import time
import typing

import asking
import problems
import repository
import routing
import scoring

COUNT = 1000

Report: typing.TypeAlias = dict[str, typing.Any]


@contextlib.contextmanager
def server_url(args: argparse.Namespace) -> collections.abc.Iterator[str]:
    """The server that was named, else a local cluster for as long as the context lasts."""
    if args.url:
        yield args.url
        return
    flags = {"enable_return_routed_experts": "true"} if args.routing else {}
    with repository.Cluster(args.model, shards=args.shards, binaries=args.bin, **flags) as cluster:
        yield cluster.url


def texts_sha256(answers: collections.abc.Iterable[asking.Answer]) -> str:
    """Of all texts, reasoning and content in the order of the questions."""
    return hashlib.sha256("\n".join(answer.sha256 for answer in answers).encode()).hexdigest()


def describe(problem: problems.Problem, answer: asking.Answer) -> dict[str, object]:
    """A problem and its answer in a report."""
    return {"kind": problem.kind, "language": problem.language, "wording_held_out": problem.wording_held_out,
            "question": problem.question, "expected": problem.answer, "answered": answer.number,
            "finish_reason": answer.finish_reason, "completion_tokens": answer.completion_tokens,
            "sha256": answer.sha256}


def make_report(asked: list[problems.Problem], answers: list[asking.Answer], seconds: float) -> Report:
    return {"seconds": round(seconds, 1), "score": dataclasses.asdict(scoring.score(asked, answers)),
            "texts_sha256": texts_sha256(answers),
            "answers": [describe(problem, answer) for problem, answer in zip(asked, answers, strict=True)]}


def print_tallies(title: str, tallies: dict[str, scoring.Tally]) -> None:
    print(title)
    for name, part in tallies.items():
        print(f"  {name:14} {part.right:5d} of {part.asked:5d}   {part.share:.4f}")


def print_score(score: scoring.Score) -> None:
    print_tallies("all", {"overall": score.overall})
    print_tallies("by kind", score.kinds)
    print_tallies("by language", score.languages)
    print_tallies("by wording", score.wordings)
    print(f"\n{score.mean_tokens:.1f} tokens an answer, {score.cut_off} cut off at the token limit, "
          f"{score.without_reasoning} without reasoning")


def print_wrong(asked: list[problems.Problem], answers: list[asking.Answer]) -> None:
    for problem, answer in zip(asked, answers, strict=True):
        if answer.number != problem.answer:
            print(f"\n--- {problem.kind}, {problem.language}: {problem.question}\n"
                  f"expected {problem.answer}, got {answer.number}\n"
                  f"{answer.reasoning.strip()}\n=> {answer.content.strip()}")


def evaluate(args: argparse.Namespace) -> list[str]:
    """Asks, prints and writes the report; returns what falls short."""
    asked = problems.held_out_problems(args.count)
    with server_url(args) as url:
        server = asking.ChatServer(url, args.max_tokens, args.routing)
        started = time.monotonic()
        answers = server.ask_all([problem.question for problem in asked], args.concurrency)
        seconds = time.monotonic() - started
    score = scoring.score(asked, answers)
    report = make_report(asked, answers, seconds)
    short = scoring.shortcomings(score, args.min_overall, args.min_kind)
    if args.show_wrong:
        print_wrong(asked, answers)
    print_score(score)
    print(f"{seconds:.1f} s; sha256 of all texts {report['texts_sha256']}")
    if args.routing:
        layers = routing.balance((answer.routing for answer in answers if answer.routing is not None), args.model)
        report["routing"] = [layer.describe() for layer in layers]
        short += routing.shortcomings(layers)
        print(f"\nrouted rows, 1 = fair share\n{routing.table(layers)}")
    if args.report:
        repository.write_file(args.report, (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode())
    return short


def differences(first: Report, second: Report) -> list[str]:
    """The questions that two reports answer differently, or a word that they asked different ones."""
    ours, theirs = first["answers"], second["answers"]
    if [answer["question"] for answer in ours] != [answer["question"] for answer in theirs]:
        return ["other questions"]
    return [a["question"] for a, b in zip(ours, theirs, strict=True) if a["sha256"] != b["sha256"]]


def compare(paths: list[pathlib.Path]) -> list[str]:
    """Compares every report with the first; returns what differs."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    found = []
    for path, report in zip(paths[1:], reports[1:], strict=True):
        different = differences(reports[0], report)
        found += [f"{path} differs from {paths[0]}: {question}" for question in different]
        if not different:
            print(f"{path} equals {paths[0]}: {len(report['answers'])} answers, {report['texts_sha256']}")
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a running server, without /v1; else a local cluster is started")
    repository.add_cluster_arguments(parser)
    parser.add_argument("--count", type=int, default=COUNT, help="problems (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=asking.CONCURRENCY, help="(%(default)s)")
    parser.add_argument("--max-tokens", type=int, default=asking.MAX_TOKENS, help="of an answer (%(default)s)")
    parser.add_argument("--min-overall", type=float, default=scoring.MIN_OVERALL, help="(%(default)s)")
    parser.add_argument("--min-kind", type=float, default=scoring.MIN_KIND, help="(%(default)s)")
    parser.add_argument("--routing", action="store_true", help="measure the balance of the experts")
    parser.add_argument("--show-wrong", action="store_true", help="print every wrong answer")
    parser.add_argument("--report", type=pathlib.Path, help="where the JSON report goes")
    parser.add_argument("--compare", type=pathlib.Path, nargs="+", metavar="REPORT", help="only compare these reports")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    failures = compare(args.compare) if args.compare else evaluate(args)
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
