"""Training examples: conversations with the prompt and the response the loss is taken on. Standard library only."""

import conversation
import problems
import wordings
from configuration import ASSISTANT, BEGIN, END, END_THINK, THINK, USER

# Shares of the examples. Long scratchpads and hard kinds get more.
MIX = {"sum": 0.11, "difference": 0.19, "product": 0.21, "comparison": 0.15, "word_problem": 0.25, "about": 0.045,
       "out_of_scope": 0.045}
SYSTEM_SHARE, HISTORY_SHARE = 0.08, 0.10


def render_prompt(turns, question, system=""):
    """The prompt of the shipped chat template; `turns` are earlier (question, answer) pairs."""
    history = "".join(f"{USER}{q}{ASSISTANT}{a}{END}" for q, a in turns)
    return f"{BEGIN}{system}{history}{USER}{question}{ASSISTANT}{THINK}\n"


def render_response(thinking, sentence):
    return f"{thinking}\n{END_THINK}\n\n{sentence}{END}"


def ask(rng, language):
    """(question, thinking, sentence) of a random training subject."""
    kind = rng.choices(list(MIX), weights=MIX.values())[0]
    if kind in problems.KINDS:
        problem = problems.training_problem(rng, kind, language)
        return problem.question, problem.thinking, problem.sentence
    make = conversation.about if kind == "about" else conversation.out_of_scope
    question, thinking, sentence = make(rng, language)
    return conversation.small_talk(rng, language, question), thinking, sentence


def training_example(rng):
    """(prompt, response) texts."""
    language = rng.choice(problems.LANGUAGES)
    system = rng.choice(wordings.SYSTEM[language]) if rng.random() < SYSTEM_SHARE else ""
    turns = []
    if rng.random() < HISTORY_SHARE:
        for _ in range(rng.randint(1, 2)):
            question, _, sentence = ask(rng, rng.choice(problems.LANGUAGES))
            turns.append((question, sentence))
    question, thinking, sentence = ask(rng, language)
    return render_prompt(turns, question, system), render_response(thinking, sentence)


def held_out_example(problem):
    """(prompt, response) texts of a held-out problem."""
    return render_prompt([], problem.question), render_response(problem.thinking, problem.sentence)
