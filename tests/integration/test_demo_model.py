"""The demo model reasons, and its answers depend on its experts alone, not on who computes them."""
import asking
import problems
import pytest
import scoring
import zero_expert

from cluster import ROOT, Cluster, wait_until

MODEL = ROOT / "models/demo"
PROBLEMS = problems.held_out_problems(100)  # 20 a kind, half of them French
SAME_TEXTS = 20  # Two a kind and language.

# How weights and rows may be rounded, and by how many points the share of right answers may fall.
ROUNDED = {"bf16": dict(compute_dtype="bf16"), "int8": dict(weight_dtype="int8")}
MAX_POINTS_LOST = 0.5
ACCURACY_PROBLEMS = problems.held_out_problems(200)

# An expert that the model needs, as models/demo/train/ablation.py found, and what is the most it may
# get right without it. Fixed, since equal weights give equal answers everywhere.
ZEROED_LAYER, ZEROED_EXPERT = 1, 3
ZEROED_MAX_RIGHT = 85

# Of questions in wordings and on topics that were held out, how many it takes for something else.
ABOUT_MAX_WRONG, REFUSAL_MAX_WRONG = 3, 1


def ask(cluster, questions):
    return asking.ChatServer(cluster.url).ask_all(questions)


def ask_problems(cluster, asked):
    return ask(cluster, [problem.question for problem in asked])


@pytest.fixture(scope="module")
def demo():
    """A cluster of three shards that serves the demo model as users do."""
    with Cluster(MODEL, shards=3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def answers(demo):
    return ask_problems(demo, PROBLEMS)


def test_it_reasons_and_is_right(answers):
    result = scoring.score(PROBLEMS, answers)
    print(result)
    assert scoring.shortcomings(result) == []


def test_every_shard_computed_rows(demo, answers):
    wait_until(lambda: all(rows > 0 for rows in demo.expert_rows().values()), 30,
               "every shard computed something")
    assert len(demo.expert_rows()) == 3


@pytest.fixture(scope="module")
def right_in_f32():
    with Cluster(MODEL, shards=3, compute_dtype="f32") as cluster:
        return share_of_right(cluster)


def share_of_right(cluster):
    """In percent."""
    score = scoring.score(ACCURACY_PROBLEMS, ask_problems(cluster, ACCURACY_PROBLEMS))
    return 100 * score.overall.share


@pytest.mark.parametrize("dtype", ROUNDED)
def test_rounding_costs_next_to_no_answers(right_in_f32, dtype):
    with Cluster(MODEL, shards=3, **ROUNDED[dtype]) as cluster:
        right = share_of_right(cluster)
    print(f"{dtype}: {right} % right, f32: {right_in_f32} %")
    assert right >= right_in_f32 - MAX_POINTS_LOST


@pytest.mark.parametrize("shards", [1, 5])
def test_the_same_texts_with_other_shards(answers, shards):
    with Cluster(MODEL, shards=shards) as cluster:
        others = ask_problems(cluster, PROBLEMS[:SAME_TEXTS])
    assert others == answers[:SAME_TEXTS]


def test_it_needs_its_experts(answers, tmp_path):
    zero_expert.zero_expert(MODEL, tmp_path / "model", ZEROED_LAYER, ZEROED_EXPERT)
    with Cluster(tmp_path / "model", shards=3) as cluster:
        broken = scoring.score(PROBLEMS, ask_problems(cluster, PROBLEMS)).overall
    whole = scoring.score(PROBLEMS, answers).overall
    print(f"without expert {ZEROED_EXPERT} of layer {ZEROED_LAYER}: {broken}, with it: {whole}")
    assert broken.right <= ZEROED_MAX_RIGHT < whole.right


def ask_what_it_was_taught(cluster, taught):
    """(what it said, what it was taught to say) for each of [(language, question, answer)]."""
    _, questions, sentences = zip(*taught, strict=True)
    answers = ask(cluster, questions)
    assert all(answer.reasoning.strip() for answer in answers)
    said = [(answer.content.strip(), sentence)
            for answer, sentence in zip(answers, sentences, strict=True)]
    print([pair for pair in said if pair[0] != pair[1]])
    return said


def test_it_tells_about_moesaic_in_every_trained_wording(demo):
    said = ask_what_it_was_taught(demo, problems.about_questions(held_out=False))
    assert all(content == sentence for content, sentence in said)


def test_it_tells_about_moesaic_in_other_wordings(demo):
    said = ask_what_it_was_taught(demo, problems.about_questions(held_out=True))
    assert sum(content != sentence for content, sentence in said) <= ABOUT_MAX_WRONG


def test_it_declines_everything_else(demo):
    said = ask_what_it_was_taught(demo, problems.out_of_scope_questions())
    assert sum(content != refusal for content, refusal in said) <= REFUSAL_MAX_WRONG
