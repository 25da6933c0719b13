"""Packed training rows: several whole examples to a row, none cut."""

import random

import torch

import examples
import problems


def encode(tokenizer, prompt, response):
    """Token ids of an example and the index of its first response token."""
    prompt_ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    return prompt_ids + tokenizer.encode(response, add_special_tokens=False).ids, len(prompt_ids)


def pack(encoded, rows, length):
    """Rows of (ids, first response) pairs, each into the first row with room; stops at the first that fits nowhere."""
    packed = [[] for _ in range(rows)]
    room = [length] * rows
    for item in encoded:
        row = next((r for r in range(rows) if room[r] >= len(item[0])), None)
        if row is None:
            break
        packed[row].append(item)
        room[row] -= len(item[0])
    return packed


def to_tensors(packed, length, pad):
    """ids [B, T], segments [B, T] (0 is padding), wanted bool [B, T] and targets [sum(wanted)]."""
    ids = torch.full((len(packed), length), pad)
    segments = torch.zeros((len(packed), length), dtype=torch.long)
    wanted = torch.zeros((len(packed), length), dtype=torch.bool)
    targets = []
    for row, items in enumerate(packed):
        begin = 0
        for number, (tokens, first) in enumerate(items, 1):
            end = begin + len(tokens)
            ids[row, begin:end] = torch.tensor(tokens)
            segments[row, begin:end] = number
            wanted[row, begin + first - 1:end - 1] = True  # The position before a response token predicts it.
            targets.extend(tokens[first:])
            begin = end
    return ids, segments, wanted, torch.tensor(targets)


def training_batch(tokenizer, seed, step, rank, rows, length, pad):
    """The batch of a step on a process: a function of its arguments alone, so that training can be resumed."""
    rng = random.Random(f"{seed}/{step}/{rank}")

    def endless():
        while True:
            item = encode(tokenizer, *examples.training_example(rng))
            if len(item[0]) <= length:  # A few with long histories are not.
                yield item

    return to_tensors(pack(endless(), rows, length), length, pad)


class HeldOutCheck:
    """Which held-out problems the model answers as taught when decoding greedily.

    The response is a function of the question, so greedy decoding gives it if and only if, fed with the response
    itself, the model's first choice is right at every position.
    """

    def __init__(self, tokenizer, count, rows, length, pad):
        self.problems = problems.held_out_problems(count)
        encoded = [encode(tokenizer, *examples.held_out_example(p)) for p in self.problems]
        self.batches, self.owners = [], []
        done = 0
        while done < count:
            packed = pack(encoded[done:], rows, length)
            taken = sum(len(row) for row in packed)
            # First-fit changes the order within the batch: find each example's problem again by identity.
            number = {id(item): done + i for i, item in enumerate(encoded[done:done + taken])}
            self.owners.append([(number[id(item)], len(item[0]) - item[1]) for row in packed for item in row])
            self.batches.append(to_tensors(packed, length, pad))
            done += taken

    @torch.no_grad()
    def run(self, model):
        """{kind: share right}, and under "held_out_wordings" that of the wordings never trained on."""
        right = {}
        for (ids, segments, wanted, targets), owners in zip(self.batches, self.owners):
            correct = model(ids, segments, wanted).argmax(-1) == targets
            begin = 0
            for number, length in owners:
                right[number] = bool(correct[begin:begin + length].all())
                begin += length
        groups = {}
        for number, problem in enumerate(self.problems):
            groups.setdefault(problem.kind, []).append(right[number])
            if problem.wording_held_out:
                groups.setdefault("held_out_wordings", []).append(right[number])
        return {name: round(sum(values) / len(values), 4) for name, values in groups.items()}
