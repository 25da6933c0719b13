#!/usr/bin/env python3
"""Compares our tokenizer with Hugging Face `tokenizers` on random strings.

The strings are drawn from code points assigned in Unicode 14 (the version of our libraries): words
of many scripts, runs of spaces and line breaks, digits, punctuation, emoji sequences, combining
marks, control characters and the tokenizer's own added tokens. They depend only on the seed.

  tokenizer_parity.py TOOL GOLDEN            compares ids and decoded texts, needs `tokenizers`
  tokenizer_parity.py TOOL GOLDEN --digest   compares our ids with the committed digests only
  tokenizer_parity.py TOOL GOLDEN --write    as the first, then writes the digests

TOOL is build/PRESET/…/tokenize_tool, GOLDEN a folder with tokenizers/NAME/tokenizer.json.
"""

import argparse
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

RECORD = pathlib.Path(__file__).with_suffix(".json")
NAMES = ("deepseek_v3", "qwen3", "llama2")
ASCII_WORDS = (
    "the of and to in is you that it he was for on are as with his they at be this from have or by "
    "one had not but what all were when we there can an your which their said if do will each about "
    "how up out them then she many some so these would other into has more her two like him see time "
    "could no make than first been its who now people my made over did down only way find use may "
    "I've we'll they're don't HTTP x86_64 camelCase snake_case __init__ don'T I'LL 'S 'ſ 'tis"
).split()
SPACES = " \t\n\r\v\f\u0085\u00a0\u1680\u180e\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»¿¡…—–“”‘’、。，！？「」€£¥₿±×÷√∑∞§¶©®™°"
EMOJI = "😀😂🤣❤👍🏽👩👨👧👦💻🌈🏳🔥✨🎉🧑🇩🇪🇯🇵⌚☎✈🀄🫠🫶"
JOINERS = "\u200d\ufe0f\ufe0e\u20e3\U000e0067"
MARKS = "\u0300\u0301\u0308\u0323\u0327\u0328\u0338\u0345\u0591\u05b0\u064b\u0670\u093c\u094d\u0e38\u0e48\u302a\u3099"
COMPOSITION = "eaouAÅÅΩΩKKſẛﬁ가각한글\u1100\u1161\u11a8ᄒ쉓ỗǖ\u0958ｶﾞ①²½Ⅷ"


class Random:
    """splitmix64: the same numbers under every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return ((z ^ (z >> 31)) * n) >> 64

    def pick(self, items):
        return items[self.below(len(items))]


class Strings:
    def __init__(self, seed, assigned, added_tokens):
        self.random = Random(seed)
        self.assigned = assigned
        self.added_tokens = added_tokens
        self.kinds = (
            self.words, self.words, self.words, self.spaces, self.spaces, self.digits,
            self.punctuation, self.punctuation, self.script, self.script, self.script, self.anything,
            self.emoji, self.marks, self.composition, self.added, self.bytes, self.repeats,
        )

    def some(self, alphabet, most):
        return "".join(self.random.pick(alphabet) for _ in range(1 + self.random.below(most)))

    def words(self):
        glue = self.random.pick((" ", " ", " ", "", "  ", "\n", "_"))
        return glue.join(self.random.pick(ASCII_WORDS) for _ in range(1 + self.random.below(6)))

    def spaces(self):
        alphabet = self.random.pick((" ", " \n", " \t\r\n", SPACES))
        return self.some(alphabet, 6)

    def digits(self):
        return self.some(self.random.pick(("0123456789", "0123456789.,", "٠١٢٣٤٥", "०१२३", "²³½Ⅷ①")), 9)

    def punctuation(self):
        return self.some(PUNCTUATION, 4)

    def script(self):
        start = self.random.below(len(self.assigned))
        near = self.assigned[start:start + 40]
        return self.some(near, 8)

    def anything(self):
        return self.some(self.assigned, 5)

    def emoji(self):
        return self.some(EMOJI + JOINERS, 6)

    def marks(self):
        return self.random.pick("aeoאبकกか ") + self.some(MARKS, 5)

    def composition(self):
        return self.some(COMPOSITION + MARKS, 5)

    def added(self):
        token = self.random.pick(self.added_tokens)
        cut = self.random.below(8)
        return token[:-1] if cut == 0 else token[1:] if cut == 1 else token

    def bytes(self):
        return "".join(chr(self.random.below(0x180)) for _ in range(1 + self.random.below(6)))

    def repeats(self):
        unit = self.random.pick(("a", "ab", "=", "-", "\n", " ", "ha", "好", "0", "\u0301"))
        return unit * (1 + self.random.below(40))

    def next(self):
        return "".join(self.random.pick(self.kinds)() for _ in range(1 + self.random.below(8)))


def parse_ranges(text):
    points = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        points.extend(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return points


def make_strings(record, tokenizer_json):
    added = [token["content"] for token in json.loads(tokenizer_json)["added_tokens"]]
    strings = Strings(record["seed"], parse_ranges(record["assigned"]), added)
    return [strings.next() for _ in range(record["count"])]


def run_tool(tool, path, texts):
    with tempfile.TemporaryFile("w+b") as lines:
        for text in texts:
            lines.write(json.dumps(text).encode() + b"\n")
        lines.seek(0)
        output = subprocess.run([tool, path], stdin=lines, stdout=subprocess.PIPE, check=True).stdout
    results = [json.loads(line) for line in output.split(b"\n") if line]
    assert len(results) == len(texts), (len(results), len(texts))
    return results


def digest(results):
    sha = hashlib.sha256()
    for result in results:
        ids = result["ids"]
        sha.update(struct.pack(f"<I{len(ids)}I", len(ids), *ids))
    return sha.hexdigest()


def compare(path, texts, results):
    """Prints the first differences; returns how many texts differ."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    differing = 0
    for text, ours in zip(texts, results):
        ids = tokenizer.encode(text).ids
        theirs = {
            "ids": ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True),
        }
        if theirs != ours:
            differing += 1
            if differing <= 5:
                print(f"  differs: {text!r}\n    theirs {theirs}\n    ours   {ours}")
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--count", type=int, help="fewer strings, for a quick look (no digest)")
    args = parser.parse_args()
    record = json.loads(RECORD.read_text())
    full = args.count is None
    if not full:
        record["count"] = args.count
    failed = False
    for name in NAMES:
        start = time.monotonic()
        path = args.golden / "tokenizers" / name / "tokenizer.json"
        texts = make_strings(record, path.read_text())
        results = run_tool(args.tool, path, texts)
        found = digest(results)
        tokens = sum(len(result["ids"]) for result in results)
        print(f"{name}: {len(texts)} strings, {tokens} tokens, SHA-256 {found}")
        if not args.digest:
            differing = compare(path, texts, results)
            print(f"{name}: {differing} strings differ ({time.monotonic() - start:.0f} s)")
            failed |= differing > 0
        if args.write and not failed and full:
            record["digests"][name] = found
        elif full and record["digests"].get(name) != found:
            print(f"{name}: the committed digest is {record['digests'].get(name)}")
            failed = True
    if args.write and not failed and full:
        import tokenizers

        record["library"] = f"tokenizers {tokenizers.__version__}"
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
