"""Trains the demo model from nothing, or goes on from the last checkpoint in OUT.

    python train.py OUT [--steps N] [--processes 2]

OUT gets tokenizer.json, config.json, train_log.jsonl (one line every 20 steps) and, every 5 minutes, state.pt.
Export with export.py when it is done. Same seed, same machine: same model.
"""

import argparse
import json
import os
import pathlib
import random
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import Tokenizer

import batches
import configuration
import model as models
import optimizer as optimizers
import tokenizer as tokenizers_recipe

SEED = 20
ROWS, LENGTH = 8, 288  # Per process and step.
LEARNING_RATE, WARM_UP, DECAY_SHARE = 3e-3, 100, 0.7
BIAS_STEP, LATE_BIAS_STEP = 3e-3, 1e-3
CHECKPOINT_SECONDS, LOG_STEPS, CHECK_STEPS, CHECK_PROBLEMS = 300, 20, 200, 500


def write_atomically(path, write):
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)


def learning_rate(step, steps):
    """Warm-up, a plateau, then a straight line to zero."""
    decay = (steps - step) / (steps * DECAY_SHARE)
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP, decay)


def average_gradients(parameters):
    """Sums the gradients over the processes, in one message."""
    if dist.get_world_size() == 1:
        return
    flat = torch.cat([p.grad.flatten() for p in parameters])
    dist.all_reduce(flat)
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        parameter.grad.copy_(part.view_as(parameter))


def balance(model, step, steps):
    """Moves every gate bias towards an even load, as DeepSeek-V3 is trained; returns max load / mean by layer."""
    ratios = []
    for moe in model.moe_layers():
        load = moe.load.float()
        if dist.get_world_size() > 1:
            dist.all_reduce(load)
        rate = BIAS_STEP if step < steps / 2 else LATE_BIAS_STEP
        moe.bias += rate * torch.sign(load.mean() - load)
        ratios.append(round(float(load.max() / load.mean()), 2))
    return ratios


class Trainer:
    """One process of the training; they hold equal weights and see different examples."""

    def __init__(self, out, steps):
        self.out, self.steps, self.step, self.seconds, self.tokens = out, steps, 0, 0.0, 0
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        torch.manual_seed(SEED)
        config = json.loads((out / "config.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
        self.pad = config["pad_token_id"]
        self.model = models.DemoModel(config)
        self.parameters = list(self.model.parameters())
        self.optimizers = optimizers.make_optimizers(self.model, LEARNING_RATE)
        self.check = batches.HeldOutCheck(self.tokenizer, CHECK_PROBLEMS, ROWS, LENGTH, self.pad)
        if (out / "state.pt").exists():
            self.load()

    def load(self):
        state = torch.load(self.out / "state.pt")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.seconds, self.tokens = state["step"], state["seconds"], state["tokens"]

    def save(self):
        state = {"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                 "step": self.step, "seconds": self.seconds, "tokens": self.tokens}
        write_atomically(self.out / "state.pt", lambda path: torch.save(state, path))

    def train_step(self):
        """One update; returns the mean loss of a response token over all processes and the load ratios."""
        batch = batches.training_batch(self.tokenizer, SEED, self.step, self.rank, ROWS, LENGTH, self.pad)
        ids, segments, wanted, targets = batch
        loss = F.cross_entropy(self.model(ids, segments, wanted), targets, reduction="sum")
        totals = torch.tensor([loss.item(), float(len(targets)), float((segments > 0).sum())])
        dist.all_reduce(totals)
        self.model.zero_grad()
        (loss / totals[1]).backward()
        average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        rate = learning_rate(self.step, self.steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        ratios = balance(self.model, self.step, self.steps)
        self.step += 1
        self.tokens += int(totals[2])
        return float(totals[0] / totals[1]), ratios

    def log(self, loss, ratios):
        line = {"step": self.step, "tokens": self.tokens, "minutes": round(self.seconds / 60, 2), "loss": round(loss, 5),
                "lr": round(learning_rate(self.step, self.steps), 6), "load": ratios}
        if self.step % CHECK_STEPS == 0 or self.step == self.steps:
            line["eval"] = self.check.run(self.model)
        with open(self.out / "train_log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def run(self):
        saved = last = time.monotonic()
        losses = []
        while self.step < self.steps:
            loss, ratios = self.train_step()
            losses.append(loss)
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.rank != 0:
                continue
            if self.step % LOG_STEPS == 0 or self.step == self.steps:
                self.log(sum(losses) / len(losses), ratios)
                losses.clear()
            if now - saved > CHECKPOINT_SECONDS or self.step == self.steps:
                self.save()
                saved = now


def prepare(out):
    """Writes the tokenizer and the configuration, unless they are there."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "config.json").exists():
        return
    tokenizer = tokenizers_recipe.train()
    (out / "tokenizer.json").write_text(tokenizers_recipe.to_json(tokenizer), encoding="utf-8")
    config = configuration.config(tokenizer.get_vocab_size())
    write_atomically(out / "config.json", lambda path: path.write_text(json.dumps(config, indent=1) + "\n"))


def trim_log(out, step):
    """Drops the log's lines after the checkpoint: those steps are about to be repeated."""
    log = out / "train_log.jsonl"
    if not log.exists():
        return
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] <= step]
    write_atomically(log, lambda path: path.write_text("".join(line + "\n" for line in lines), encoding="utf-8"))


def process(rank, world, port, out, steps):
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    random.seed(0)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    trainer = Trainer(out, steps)
    if rank == 0:
        trim_log(out, trainer.step)
    trainer.run()
    dist.destroy_process_group()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    arguments = parser.parse_args()
    prepare(arguments.out)
    torch.multiprocessing.spawn(process, nprocs=arguments.processes,
                                args=(arguments.processes, free_port(), arguments.out, arguments.steps))


if __name__ == "__main__":
    main()
