"""Trains the tokenizer: byte-level BPE whose words are whole tokens and whose digits and operators stand alone.

    python tokenizer.py OUT_DIR
"""

import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import configuration
import examples

# One digit, one word with the space before it, one sign with the space before it, or one white-space character.
PIECE = r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]|\s"
EXAMPLES, VOCABULARY, MIN_FREQUENCY = 20000, 2048, 10


def train(seed=7):
    """A tokenizers.Tokenizer trained on texts of the training split."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECE), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    rng = random.Random(seed)
    texts = ("".join(examples.training_example(rng)) for _ in range(EXAMPLES))
    special = configuration.SPECIAL_TOKENS + configuration.ADDED_TOKENS
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, min_frequency=MIN_FREQUENCY, show_progress=False,
                                  special_tokens=[AddedToken(t, special=True) for t in special],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())

    def without_special():
        for text in texts:
            for token in special:
                text = text.replace(token, "\n")
            yield text

    tokenizer.train_from_iterator(without_special(), trainer)
    return tokenizer


def to_json(tokenizer):
    """The text of tokenizer.json. The trainer marks every added token special; ours of the thinking are not."""
    content = json.loads(tokenizer.to_str())
    for token in content["added_tokens"]:
        token["special"] = token["content"] not in configuration.ADDED_TOKENS
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(to_json(train()), encoding="utf-8")


if __name__ == "__main__":
    main()
