"""Scores answers to problems: overall, by kind, by language and by wording."""

import collections.abc
import dataclasses

import asking
import problems

MIN_OVERALL = 0.95
MIN_KIND = 0.90


@dataclasses.dataclass(frozen=True)
class Tally:
    """How many of the answers asked for were right."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked


@dataclasses.dataclass(frozen=True)
class Score:
    """How a model did. The tallies by kind, language and wording each add up to the overall one."""

    overall: Tally
    kinds: dict[str, Tally]
    languages: dict[str, Tally]
    wordings: dict[str, Tally]
    without_reasoning: int
    cut_off: int  # Answers that reached the token limit.
    mean_tokens: float


Key = collections.abc.Callable[[problems.Problem], str]


def tally(asked: collections.abc.Sequence[problems.Problem], verdicts: collections.abc.Sequence[bool],
          key: Key) -> dict[str, Tally]:
    """A tally for each value of `key`, in the order in which the values first occur."""
    right: dict[str, int] = {}
    total: dict[str, int] = {}
    for problem, verdict in zip(asked, verdicts, strict=True):
        name = key(problem)
        right[name] = right.get(name, 0) + verdict
        total[name] = total.get(name, 0) + 1
    return {name: Tally(right[name], total[name]) for name in total}


def score(asked: collections.abc.Sequence[problems.Problem],
          answers: collections.abc.Sequence[asking.Answer]) -> Score:
    """Scores one answer a problem, at least one. An answer is right if its last number is the problem's."""
    verdicts = [answer.number == problem.answer for problem, answer in zip(asked, answers, strict=True)]
    return Score(
        overall=Tally(sum(verdicts), len(verdicts)),
        kinds=tally(asked, verdicts, lambda problem: problem.kind),
        languages=tally(asked, verdicts, lambda problem: problem.language),
        wordings=tally(asked, verdicts, lambda problem: "held out" if problem.wording_held_out else "trained"),
        without_reasoning=sum(not answer.reasoning.strip() for answer in answers),
        cut_off=sum(answer.finish_reason == "length" for answer in answers),
        mean_tokens=sum(answer.completion_tokens for answer in answers) / len(answers))


def shortcomings(result: Score, min_overall: float = MIN_OVERALL, min_kind: float = MIN_KIND) -> list[str]:
    """What keeps a score from being good enough, in words; empty when nothing does."""
    found = []
    if result.overall.share < min_overall:
        found.append(f"overall {result.overall.share:.3f} < {min_overall}")
    found += [f"{kind} {part.share:.3f} < {min_kind}" for kind, part in result.kinds.items()
              if part.share < min_kind]
    if result.without_reasoning:
        found.append(f"{result.without_reasoning} answers without reasoning")
    return found
