#!/usr/bin/env python3
"""Compares the demo model's log-probabilities with those of Hugging Face transformers.

A local cluster in float32 answers 50 held-out problems. Then the log-probability of every token of
these conversations, prompt and answer, is computed by the cluster and by the DeepseekV3ForCausalLM
of transformers (float32, eager attention, on the CPU, the weights as it loads them itself). Prints
the largest difference of each conversation.

  reference_logprobs.py                                         compares
  reference_logprobs.py --write tests/golden/demo_logprobs.json   and writes the reference's figures

The suite compares with what was written (tests/integration/test_demo_logprobs.py) and needs no
torch. This script needs torch, transformers 4.56, numpy, httpx and safetensors, and is run by hand
when the model changes. Exit code 1 when a difference exceeds the limit; nothing is written then.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import typing

import numpy
import numpy.typing
import torch
import transformers

import reference_bf16

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "models" / "demo" / "train"))

import problems  # noqa: E402
import repository  # noqa: E402
from checkpoints import weights_sha256  # noqa: E402
from golden import LOGPROB_TOLERANCE_F32, score  # noqa: E402

PROMPTS = 50
MAX_TOKENS = 256  # Of an answer; keeps the file small.
MAX_BYTES = 300_000

Logprobs: typing.TypeAlias = numpy.typing.NDArray[numpy.float64]
Routing: typing.TypeAlias = numpy.typing.NDArray[numpy.int64]


@dataclasses.dataclass(frozen=True)
class Scored:
    """A conversation and what one implementation computed for it."""

    ids: list[int]
    logprobs: Logprobs  # Of each token but the first, [tokens - 1].
    routing: Routing  # Sets of experts in ascending order, [tokens, MoE layers, top-k].


def conversation(cluster: typing.Any, tokenizer: typing.Any, question: str) -> list[int]:
    """The ids of a question in the chat template and of the cluster's greedy answer."""
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    body = {"messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS, "return_token_ids": True}
    response = cluster.http.post("/v1/chat/completions", json=body).raise_for_status().json()
    if response["prompt_token_ids"] != prompt:
        sys.exit(f"cluster and transformers do not give this the same tokens: {question}")
    return prompt + response["choices"][0]["token_ids"]


def score_by_cluster(args: argparse.Namespace) -> list[Scored]:
    """Has a local cluster answer the problems and score the conversations."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    scored = []
    with repository.Cluster(args.model, shards=args.shards, binaries=args.bin, compute_dtype="f32",
                            wire_dtype="f32", enable_return_routed_experts="true") as cluster:
        for problem in problems.held_out_problems(PROMPTS):
            ids = conversation(cluster, tokenizer, problem.question)
            logprobs, routing = score(cluster, ids)
            scored.append(Scored(ids, logprobs, numpy.sort(routing).astype(numpy.int64)))
    return scored


def load_model(directory: pathlib.Path) -> typing.Any:
    """The model as transformers loads it, in float32."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        sys.exit(f"{directory}: missing {info['missing_keys']}, mismatched {info['mismatched_keys']}")
    return model.eval()


def score_by_reference(model: typing.Any, ids: list[int]) -> Scored:
    tensor = torch.tensor(ids)
    logits, chosen = reference_bf16.forward(model, tensor)
    routing = torch.stack([layer.sort(-1).values for layer in chosen], dim=1)
    return Scored(ids, reference_bf16.logprobs(logits, tensor).numpy(), routing.numpy())


def largest_difference(ours: Scored, reference: Scored) -> float:
    return float(numpy.abs(ours.logprobs - reference.logprobs).max())


def print_comparison(ours: list[Scored], references: list[Scored]) -> None:
    """A line for each conversation; other experts than the reference's explain a large difference."""
    print("conversation  tokens  largest |Δ log p|  (token, layer) pairs with other experts")
    for i, (mine, reference) in enumerate(zip(ours, references, strict=True)):
        others = int((mine.routing != reference.routing).any(axis=2).sum())
        print(f"{i:12d}  {len(mine.ids):6d}  {largest_difference(mine, reference):17.2e}  {others}")


def document(model: pathlib.Path, ours: list[Scored], references: list[Scored]) -> str:
    """The file for the suite, a conversation a line."""
    lines = []
    for mine, reference in zip(ours, references, strict=True):
        logprobs = [round(value, 6) + 0.0 for value in reference.logprobs.tolist()]
        entry = {"largest_difference": float(f"{largest_difference(mine, reference):.2e}"), "ids": mine.ids,
                 "logprobs": logprobs}
        lines.append(json.dumps(entry, separators=(",", ":")))
    head = {"reference": f"{references_name()}, float32, eager attention",
            "weights_sha256": weights_sha256(model)}
    return json.dumps(head)[:-1] + ',\n"conversations": [\n' + ",\n".join(lines) + "\n]}\n"


def references_name() -> str:
    return f"DeepseekV3ForCausalLM of transformers {transformers.__version__}, torch {torch.__version__}"


def write(path: pathlib.Path, text: str) -> None:
    if len(text) > MAX_BYTES:
        sys.exit(f"{path} would have {len(text)} bytes, more than {MAX_BYTES}")
    repository.write_file(path, text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    repository.add_cluster_arguments(parser)
    parser.add_argument("--mask-as-the-authors", action="store_true",
                        help="mask experts outside the chosen groups with -inf, as DeepSeek's code does, not with 0; "
                             "matters only to checkpoints with negative gate biases")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="write the reference's figures")
    args = parser.parse_args()
    if args.mask_as_the_authors:
        reference_bf16.follow_the_authors()
    ours = score_by_cluster(args)
    model = load_model(args.model)
    references = [score_by_reference(model, scored.ids) for scored in ours]
    print_comparison(ours, references)
    largest = max(map(largest_difference, ours, references))
    print(f"{references_name()}: largest |Δ log p| of {len(ours)} conversations, "
          f"{sum(len(scored.ids) for scored in ours)} tokens: {largest:.2e}")
    if not largest <= LOGPROB_TOLERANCE_F32:
        sys.exit(f"more than {LOGPROB_TOLERANCE_F32}")
    if args.write:
        write(args.write, document(args.model, ours, references))


if __name__ == "__main__":
    main()
