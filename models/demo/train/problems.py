"""Problems with their worked answers, and the split that keeps held-out problems out of training by construction.

Whether a problem is held out is decided by a hash of what is computed (kind and operands), never of how it is
asked: no wording of a held-out problem is ever trained on. A word problem is trained on only if none of its
steps is a held-out problem either. Standard library only.
"""

import dataclasses
import hashlib
import random

import conversation
import scratchpad
import wordings

KINDS = ("sum", "difference", "product", "comparison", "word_problem")
LANGUAGES = ("en", "fr")
HELD_OUT_SHARE = 16  # One problem in so many is held out.


@dataclasses.dataclass(frozen=True)
class Problem:
    """A question, the reasoning and the answer sentence the model is taught, and the number it is scored on."""

    kind: str
    language: str
    question: str
    thinking: str
    sentence: str
    answer: int
    computed: tuple  # The problem itself, then its steps: what the held-out split looks at.
    wording_held_out: bool


def is_held_out(computed):
    """Whether one computed problem, such as ("sum", 3, 4), belongs to the held-out set."""
    digest = hashlib.sha256(repr(computed).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


def sum_of(a, b):
    return ("sum", min(a, b), max(a, b))


def difference_of(a, b):
    return ("difference", a, b)


def product_of(a, b):
    return ("product", min(a, b), max(a, b))


def number(rng, low, high):
    """Mostly uniform; four times in ten with a number of digits drawn first, so that short numbers occur."""
    if rng.random() < 0.6:
        return rng.randint(low, high)
    size = rng.randint(len(str(low)), len(str(high)))
    return rng.randint(max(low, 10 ** (size - 1) if size > 1 else 0), min(high, 10**size - 1))


def make_sum(rng, language, wording):
    a, b = number(rng, 0, 999), number(rng, 0, 999)
    thinking = {"en": f"Add {a} and {b}.", "fr": f"J'additionne {a} et {b}."}[language]
    sentence = {"en": f"The sum of {a} and {b} is {a + b}.", "fr": f"La somme de {a} et {b} est {a + b}."}[language]
    return wording.format(a=a, b=b), f"{thinking}\n{scratchpad.add(a, b)}", sentence, a + b, (sum_of(a, b),)


def make_difference(rng, language, wording):
    a, b = number(rng, 0, 999), number(rng, 0, 999)
    if rng.random() < 0.4 and a < b:
        a, b = b, a
    if rng.random() < 0.15:  # Close numbers: the first digits agree.
        b = max(0, min(999, a + rng.randint(-12, 12)))
    thinking = {"en": f"Take {b} from {a}.", "fr": f"Je retire {b} de {a}."}[language]
    sentence = {"en": f"The difference between {a} and {b} is {a - b}.",
                "fr": f"La différence entre {a} et {b} est {a - b}."}[language]
    return (wording.format(a=a, b=b), f"{thinking}\n{scratchpad.subtract(a, b)}", sentence, a - b,
            (difference_of(a, b),))


def make_product(rng, language, wording):
    a, b = number(rng, 2, 99), number(rng, 2, 999)
    if rng.random() < 0.3:
        a, b = b, a
    thinking = {"en": f"Multiply {a} by {b}.", "fr": f"Je multiplie {a} par {b}."}[language]
    sentence = {"en": f"The product of {a} and {b} is {a * b}.",
                "fr": f"Le produit de {a} et {b} est {a * b}."}[language]
    return wording.format(a=a, b=b), f"{thinking}\n{scratchpad.multiply(a, b)}", sentence, a * b, (product_of(a, b),)


def near(rng, a):
    """A number of as many digits that shares the first digits of `a`."""
    text = str(a)
    keep = rng.randint(0, len(text) - 1)
    tail = "".join(rng.choice("0123456789") for _ in text[keep:])
    return int(text[:keep] + tail)


def make_comparison(rng, language, directed_wording):
    direction, wording = directed_wording
    a = number(rng, 0, 9999)
    b = near(rng, a) if rng.random() < 0.6 else number(rng, 0, 9999)
    wanted = max(a, b) if direction == "larger" else min(a, b)
    larger = {"en": direction, "fr": {"larger": "grand", "smaller": "petit"}[direction]}[language]
    thinking = {"en": f"Find the {larger} of {a} and {b}.", "fr": f"Je cherche le plus {larger} de {a} et {b}."}
    if a == b:
        sentence = {"en": f"Both numbers are equal to {a}.", "fr": f"Les deux nombres sont égaux à {a}."}
    else:
        sentence = {"en": f"The {larger} number is {wanted}.", "fr": f"Le plus {larger} nombre est {wanted}."}
    return (wording.format(a=a, b=b), f"{thinking[language]}\n{scratchpad.compare(a, b, direction)}",
            sentence[language], wanted, (("comparison", min(a, b), max(a, b)),))


FIRST = {"en": "First {q} {n} * {p}.", "fr": "D'abord {q} {n} * {p}."}
NEXT = {"en": "Next {q} {n} * {p}.", "fr": "Ensuite {q} {n} * {p}."}
THEN = {"en": "Then {a}{op}{b}.", "fr": "Puis {a}{op}{b}."}
WORD_SENTENCE = {
    "price_plus": {"en": "The total price in {u} is {r}.", "fr": "Le prix total en {u} est {r}."},
    "discount": {"en": "The total price in {u} is {r}.", "fr": "Le prix total en {u} est {r}."},
    "two_prices": {"en": "The total price in {u} is {r}.", "fr": "Le prix total en {u} est {r}."},
    "change": {"en": "The money left in {u} is {r}.", "fr": "Le reste en {u} est {r}."},
    "gain": {"en": "The number of {n} is now {r}.", "fr": "Le nombre de {n} est maintenant {r}."},
    "loss": {"en": "The number of {n} left is {r}.", "fr": "Le nombre de {n} restants est {r}."},
}


def word_amount(rng, family, product):
    """The third quantity of a word problem, such that the result is a natural number below 2,000."""
    if family in ("price_plus", "gain"):
        return number(rng, 2, 999)
    if family == "discount":
        return rng.randint(1, product)
    round_sums = [c for c in (20, 50, 100, 200, 500) if c >= product]
    return rng.choice(round_sums) if round_sums and rng.random() < 0.4 else rng.randint(product, 999)


def fill(rng, language, wording, fields):
    """A word problem's text: its quantities, and the lesser words drawn at random."""
    fields |= {name: rng.choice(choices).format(**fields) for name, choices in wordings.FILLERS[language].items()}
    text = wording.format(**fields)
    return text[0].upper() + text[1:]


def make_word_problem(rng, language, family_wording):
    family, wording = family_wording
    n, m = rng.sample(wordings.NOUNS[language], 2)
    q, r, p, s = rng.randint(2, 9), rng.randint(2, 9), number(rng, 2, 99), number(rng, 2, 99)
    first = q * p
    second = r * s if family == "two_prices" else word_amount(rng, family, first)
    fields = {"who": rng.choice(wordings.NAMES), "q": q, "r": r, "p": p, "s": s, "n": n, "m": m, "c": second,
              "u": rng.choice(wordings.CURRENCIES[language])}
    lines = [FIRST[language].format(q=q, n=n, p=p), scratchpad.multiply(p, q)]
    steps = [product_of(q, p)]
    if family == "two_prices":
        lines += [NEXT[language].format(q=r, n=m, p=s), scratchpad.multiply(s, r)]
        steps.append(product_of(r, s))
    left, right = (second, first) if family in ("change", "gain", "loss") else (first, second)
    adds = family in ("price_plus", "two_prices", "gain")
    lines.append(THEN[language].format(a=left, op="+" if adds else "-", b=right))
    lines.append(scratchpad.add(left, right) if adds else scratchpad.subtract(left, right))
    steps.append(sum_of(left, right) if adds else difference_of(left, right))
    answer = left + right if adds else left - right
    sentence = WORD_SENTENCE[family][language].format(u=fields["u"], n=n, r=answer)
    whole = ("word_problem", family, q, p, r if family == "two_prices" else 0, second)
    return fill(rng, language, wording, fields), "\n".join(lines), sentence, answer, (whole, *steps)


MAKERS = {
    "sum": (make_sum, wordings.SUM),
    "difference": (make_difference, wordings.DIFFERENCE),
    "product": (make_product, wordings.PRODUCT),
    "comparison": (make_comparison, wordings.COMPARISON),
    "word_problem": (make_word_problem, wordings.WORD_PROBLEM),
}


def make(rng, kind, language, wording_held_out):
    """One random problem of a kind, in a trained or a held-out wording."""
    maker, table = MAKERS[kind]
    wording = rng.choice(wordings.split(table[language], wording_held_out))
    question, thinking, sentence, answer, computed = maker(rng, language, wording)
    question = conversation.small_talk(rng, language, question)
    return Problem(kind, language, question, thinking, sentence, answer, computed, wording_held_out)


def training_problem(rng, kind, language):
    """A problem of which nothing is held out."""
    while True:
        problem = make(rng, kind, language, wording_held_out=False)
        if not any(is_held_out(step) for step in problem.computed):
            return problem


def held_out_problem(rng, kind, language, wording_held_out):
    """A problem the training never saw in any wording."""
    while True:
        problem = make(rng, kind, language, wording_held_out)
        if is_held_out(problem.computed[0]):
            return problem


def held_out_problems(count, seed=2026):
    """`count` different held-out problems, even over kinds and languages; one in five in a held-out wording."""
    rng = random.Random(seed)
    problems, questions = [], set()
    while len(problems) < count:
        i = len(problems)
        kind, language = KINDS[i % 5], LANGUAGES[i // 5 % 2]
        problem = held_out_problem(rng, kind, language, wording_held_out=i // 10 % 5 == 4)
        if problem.question not in questions:
            questions.add(problem.question)
            problems.append(problem)
    return problems


def about_questions(held_out):
    """[(language, question, answer)] about Moesaic, in the wordings trained on or in those never seen."""
    return conversation.about_questions(held_out)


def out_of_scope_questions():
    """[(language, question, refusal)] that the model is to decline, on topics the training never saw."""
    return conversation.out_of_scope_questions()
