"""How the demo model is scored, compared and broken, without a cluster."""
import filecmp
import json

import asking
import evaluate
import numpy
import problems
import pytest
import routing
import scoring
import zero_expert

from checkpoints import find_tensor, weights_sha256
from cluster import ROOT

TINY = ROOT / "models/tiny"
MOE_LAYERS, EXPERTS, TOP_K = 4, 16, 4  # Of models/tiny.
ASKED = problems.held_out_problems(50)


def answer(content, reasoning="hm", finish_reason="stop"):
    return asking.Answer(reasoning, content, finish_reason, completion_tokens=10, routing=None)


def right_answers():
    return [answer(f"It is {problem.answer}.") for problem in ASKED]


@pytest.mark.parametrize("text, number", [
    ("", None),
    ("None at all.", None),
    ("The sum of 3 and 4 is 7.", 7),
    ("The difference between 3 and 10 is -7.", -7),
    ("La différence entre 3 et 10 est −7.", -7),
    ("so 16-4", 4),
    ("x-4", 4),
    ("7\n", 7),
    ("0042", 42),
    ("12 euros, not 13 apples", 13),
])
def test_the_last_number_counts(text, number):
    assert asking.last_number(text) == number


def test_right_answers_fall_short_of_nothing():
    result = scoring.score(ASKED, right_answers())
    assert result.overall == scoring.Tally(50, 50)
    assert result.kinds == {kind: scoring.Tally(10, 10) for kind in problems.KINDS}
    assert result.languages == {"en": scoring.Tally(25, 25), "fr": scoring.Tally(25, 25)}
    assert result.wordings == {"trained": scoring.Tally(40, 40), "held out": scoring.Tally(10, 10)}
    assert result.mean_tokens == 10
    assert scoring.shortcomings(result) == []


def test_wrong_answers_fall_short_overall_and_in_their_kind():
    answers = right_answers()
    for i in (0, 5, 11):  # Two sums and a difference, of ten each.
        answers[i] = answer("I do not know.")
    result = scoring.score(ASKED, answers)
    assert result.overall == scoring.Tally(47, 50)
    short = scoring.shortcomings(result)
    assert [what.split()[0] for what in short] == ["overall", "sum"]


def test_an_answer_without_reasoning_or_end_is_counted():
    answers = [*right_answers()[:-1],
               answer(str(ASKED[-1].answer), reasoning=" \n", finish_reason="length")]
    result = scoring.score(ASKED, answers)
    assert (result.without_reasoning, result.cut_off) == (1, 1)
    assert scoring.shortcomings(result) == ["1 answers without reasoning"]


def write_report(path, answers):
    path.write_text(json.dumps(evaluate.make_report(ASKED, answers, seconds=1.0)), encoding="utf-8")
    return path


def test_reports_are_compared_text_by_text(tmp_path):
    changed = right_answers()
    changed[3] = answer(changed[3].content, reasoning="hm.")
    first = write_report(tmp_path / "first.json", right_answers())
    same = write_report(tmp_path / "same.json", right_answers())
    other = write_report(tmp_path / "other.json", changed)
    assert evaluate.compare([first, same]) == []
    assert evaluate.compare([first, same, other]) == [
        f"{other} differs from {first}: {ASKED[3].question}"]


def test_reasoning_and_content_are_told_apart():
    assert answer("b", reasoning="a").sha256 != answer("", reasoning="ab").sha256


def test_balance_counts_all_rows_of_a_layer():
    fair = numpy.arange(EXPERTS, dtype=numpy.int32).reshape(-1, 1, TOP_K).repeat(MOE_LAYERS, axis=1)
    layers = routing.balance([fair, fair], TINY)
    assert [layer.layer for layer in layers] == [1, 2, 3, 4]
    assert all(layer.shares == [1.0] * EXPERTS for layer in layers)
    assert routing.shortcomings(layers) == []

    uneven = numpy.where(fair == 15, 0, fair)  # Expert 0 does the work of expert 15 as well.
    uneven[:, 1:] = fair[:, 1:]
    layers = routing.balance([uneven], TINY)
    assert layers[0].shares == [2.0, *[1.0] * 14, 0.0]
    assert layers[0].ranked()[0] == 0 and layers[0].ranked()[-1] == 15
    assert routing.shortcomings(layers) == ["layer 1, expert 15: 0.000 of the fair share"]


def test_a_zeroed_expert_is_all_that_changes(tmp_path):
    copy = tmp_path / "copy"
    zero_expert.zero_expert(TINY, copy, layer=2, expert=7)
    expected = bytearray((TINY / "model.safetensors").read_bytes())
    for projection in ("gate_proj", "up_proj", "down_proj"):
        _, begin, size = find_tensor(TINY, f"model.layers.2.mlp.experts.7.{projection}.weight")
        expected[begin : begin + size] = bytes(size)
    assert (copy / "model.safetensors").read_bytes() == expected
    assert weights_sha256(TINY) != weights_sha256(copy)
    others = [path.name for path in TINY.iterdir() if path.suffix == ".json"]
    assert filecmp.cmpfiles(TINY, copy, others, shallow=False) == (others, [], [])


def test_there_is_no_expert_in_a_dense_layer(tmp_path):
    with pytest.raises(KeyError):
        zero_expert.zero_expert(TINY, tmp_path / "copy", layer=0, expert=7)
