"""Thinking and answer apart: reasoning_content, content, and how `moesaic chat` shows them.

The model is random, so a sampled </think> ends its thinking: in this copy of the tiny checkpoint the
token is the control token that padding was, and a bias makes it about as likely as a letter.
"""
import os
import pty
import signal
import subprocess

import openai
import pytest

import checkpoints
from cluster import BIN, ROOT, Cluster, run

CLOSE = 2
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}"
            "{% if enable_thinking is not false %}{{ '<think>\n' }}{% endif %}{% endif %}")
MESSAGES = [{"role": "user", "content": "Hello"}]
SAMPLED = dict(messages=MESSAGES, max_tokens=60, temperature=1.0, logit_bias={str(CLOSE): 2.5},
               ignore_eos=True, return_token_ids=True)
FAINT, NORMAL = b"\x1b[2m", b"\x1b[0m"


def thinking_checkpoint(directory):
    """The tiny checkpoint with a template that opens the thinking and a token that ends it."""
    copy = checkpoints.copy(ROOT / "models" / "tiny", directory)
    checkpoints.edit_json(copy / "tokenizer_config.json", chat_template=TEMPLATE, pad_token=None)
    tokenizer = copy / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("<|pad|>", "</think>"),
                         encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return thinking_checkpoint(tmp_path_factory.mktemp("reasoning") / "thinker")


@pytest.fixture(scope="module")
def thinker(checkpoint):
    with Cluster(checkpoint, shards=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sampled(thinker):
    """Arguments of a request whose answer has something of both parts."""
    for seed in range(50):
        arguments = dict(SAMPLED, seed=seed)
        message = chat(thinker, **arguments)["choices"][0]["message"]
        if min(len(message["reasoning_content"]), len(message["content"])) >= 10:
            return arguments
    raise AssertionError("no seed gives such an answer")


def chat(cluster, **body):
    response = cluster.http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def text_of(cluster, ids):
    """What the ids decode to without the control tokens."""
    ids = [i for i in ids if i != CLOSE]
    return cluster.http.post("/detokenize", json={"tokens": ids}).json()["prompt"]


def divided(cluster, ids):
    """(reasoning, content, reasoning tokens) of an answer whose thinking the prompt opened."""
    close = ids.index(CLOSE) if CLOSE in ids else len(ids)
    reasoning, content = (text_of(cluster, part).lstrip(" \t\r\n") for part in (ids[:close], ids[close:]))
    return reasoning, content, min(close + 1, len(ids))


def test_each_choice_is_divided_at_its_own_end_of_thinking(thinker, sampled):
    answer = chat(thinker, n=3, logprobs=True, **sampled)
    ends, reasoning_tokens = set(), 0
    for choice in answer["choices"]:
        ids, message = choice["token_ids"], choice["message"]
        reasoning, content, count = divided(thinker, ids)
        assert (message["reasoning_content"], message["content"]) == (reasoning, content)
        logprobs = choice["logprobs"]
        assert len(logprobs["reasoning_content"]) == count
        assert len(logprobs["content"]) == len(ids) - count
        assert choice["finish_reason"] == "length" and len(ids) == 60
        ends.add(count)
        reasoning_tokens += count
    assert len(ends) > 1 and any(choice["message"]["content"] for choice in answer["choices"])
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": reasoning_tokens}
    assert answer["usage"]["completion_tokens"] == 3 * 60


def test_a_stream_says_the_same_as_the_whole(thinker, sampled):
    whole = chat(thinker, **sampled)
    message = whole["choices"][0]["message"]
    client = openai.OpenAI(base_url=thinker.url + "/v1", api_key="unused", max_retries=0)
    known = {name: value for name, value in sampled.items()
             if name not in ("ignore_eos", "return_token_ids")}
    chunks = list(client.chat.completions.create(
        model=client.models.list().data[0].id, stream=True, stream_options={"include_usage": True},
        extra_body={"ignore_eos": True}, **known))
    # As DeepSeek's documentation tells its users to read a stream.
    reasoning, content = "", ""
    for chunk in chunks[:-1]:
        delta = chunk.choices[0].delta
        if delta.reasoning_content:
            assert not content, "thinking behind the answer"
            reasoning += delta.reasoning_content
        else:
            content += delta.content
    assert (reasoning, content) == (message["reasoning_content"], message["content"])
    assert chunks[-1].usage.model_dump(exclude_none=True) == whole["usage"]


def test_an_answer_that_ends_in_its_thinking(thinker):
    answer = chat(thinker, messages=MESSAGES, max_tokens=8, temperature=0, ignore_eos=True)
    choice = answer["choices"][0]
    assert choice["message"]["reasoning_content"] and choice["message"]["content"] == ""
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 8


def test_stop_texts_are_looked_for_in_the_content_alone(thinker, sampled):
    message = chat(thinker, **sampled)["choices"][0]["message"]
    # A letter of both parts, that the content does not begin with.
    stop = next(c for c in message["content"][1:]
                if c in message["reasoning_content"] and c != message["content"][0])
    choice = chat(thinker, stop=[stop], **sampled)["choices"][0]
    assert choice["message"]["reasoning_content"] == message["reasoning_content"]
    assert choice["message"]["content"] == message["content"][: message["content"].index(stop)]
    assert choice["finish_reason"] == "stop"


def test_a_request_can_turn_the_thinking_off(thinker):
    answer = chat(thinker, messages=MESSAGES, max_tokens=8, temperature=0, ignore_eos=True,
                  chat_template_kwargs={"enable_thinking": False})
    message = answer["choices"][0]["message"]
    assert message["reasoning_content"] is None and message["content"]
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_an_answer_can_be_sent_back(thinker, sampled):
    first = chat(thinker, **sampled)["choices"][0]["message"]
    assert first["reasoning_content"]
    last = {"role": "user", "content": "And <think>?"}
    plain = {"role": "assistant", "content": first["content"]}
    answers = [chat(thinker, **{**sampled, "messages": MESSAGES + [earlier, last]})["choices"]
               for earlier in (first, plain)]
    assert answers[0] == answers[1]  # this template ignores earlier thinking


def test_none_leaves_the_text_whole(checkpoint, sampled):
    with Cluster(checkpoint, shards=1, reasoning_parser="none") as cluster:
        answer = chat(cluster, **sampled)
        message = answer["choices"][0]["message"]
        assert "reasoning_content" not in message
        assert message["content"] == text_of(cluster, answer["choices"][0]["token_ids"])


def test_auto_does_nothing_for_a_model_that_does_not_think():
    with Cluster(ROOT / "models" / "tiny", shards=1) as cluster:
        answer = chat(cluster, messages=MESSAGES, max_tokens=4)
        assert "reasoning_content" not in answer["choices"][0]["message"]


def test_an_unknown_parser_is_refused():
    done = run("up", f"--model={ROOT / 'models' / 'tiny'}", "--reasoning-parser=deepseek_r1")
    assert done.returncode == 2
    assert "--reasoning-parser" in done.stderr and "auto" in done.stderr


# ---- moesaic chat -------------------------------------------------------------------------------

def test_chat_shows_the_thinking_first(thinker):
    state = ("--state-dir", thinker.state_dir, "--max-tokens", 12, "--temperature", 0)
    thinking = chat(thinker, messages=MESSAGES, max_tokens=12, temperature=0)["choices"][0]["message"]
    shown = run("chat", "Hello", "--stats", *state)
    assert shown.returncode == 0
    assert shown.stdout == thinking["reasoning_content"].rstrip() + "\n"
    assert "first token after " in shown.stderr and " 12 tokens" in shown.stderr
    assert run("chat", "Hello", "--hide-thinking", *state).stdout == "\n"


def test_chat_dims_the_thinking_in_a_terminal(thinker):
    terminal, stdout = pty.openpty()
    with subprocess.Popen([str(BIN / "moesaic"), "chat", "Hello", "--max-tokens", "8",
                           "--state-dir", str(thinker.state_dir)],
                          stdin=subprocess.DEVNULL, stdout=stdout) as process:
        os.close(stdout)
        shown = read_all(terminal)
    assert process.returncode == 0
    assert shown.startswith(FAINT) and shown.rstrip().endswith(NORMAL)


def read_all(terminal):
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # EIO: the other end is closed
            piece = b""
        if not piece:
            os.close(terminal)
            return shown
        shown += piece


def test_an_interrupt_stops_the_answer_and_not_the_chat(thinker):
    with subprocess.Popen([str(BIN / "moesaic"), "chat", "--state-dir", str(thinker.state_dir)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for _ in range(2):
            process.stdin.write(b"Hello\n")
            process.stdin.flush()
            assert os.read(process.stdout.fileno(), 64)  # it never ends its thinking by itself
            process.send_signal(signal.SIGINT)
            while not os.read(process.stdout.fileno(), 4096).endswith(b"\n"):
                pass
        process.stdin.close()
    assert process.returncode == 130
    thinker.assert_alive()


def test_the_chat_goes_on_after_an_error(thinker):
    limit = thinker.http.get("/v1/models").json()["data"][0]["max_model_len"]
    done = subprocess.run([str(BIN / "moesaic"), "chat", "--max-tokens", "4", "--state-dir",
                           str(thinker.state_dir)], input="x" * limit + "\nHello\n",
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "context length" in done.stderr
    assert done.stdout.count("\n") == 2 and len(done.stdout.split("\n")[1]) > 0, done.stdout
