"""The official OpenAI client talks to it."""
import numpy
import openai
import pytest

import golden


@pytest.fixture(scope="module")
def client(olmoe):
    return openai.OpenAI(base_url=olmoe.url + "/v1", api_key="unused", max_retries=0)


@pytest.fixture(scope="module")
def model(client):
    return client.models.list().data[0].id


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]


def test_models(client, model):
    assert client.models.retrieve(model).id == model


def test_chat(client, model):
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=8,
                                            temperature=0, logprobs=True, top_logprobs=3,
                                            extra_body={"ignore_eos": True})
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.finish_reason == "length"
    assert len(choice.logprobs.content) == 8
    for entry in choice.logprobs.content:
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == entry.logprob  # greedy: the chosen one is the best
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8


def test_stream_equals_the_whole(client, model):
    arguments = dict(model=model, messages=MESSAGES, max_tokens=12, temperature=0,
                     extra_body={"ignore_eos": True})
    whole = client.chat.completions.create(**arguments)
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True},
                                                 **arguments))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert reasons == ["length"]


def test_streamed_experts_are_those_of_the_whole(client, model):
    def ask(stream, **extra):
        return client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=12, temperature=0, stream=stream,
            extra_body={"ignore_eos": True, "return_token_ids": True, **extra})

    whole = ask(False, return_routed_experts=True)
    routing = golden.decode_routing(whole.choices[0].model_dump())
    rows, tokens = [], []
    for chunk in ask(True, stream_routed_experts=True):
        choice = chunk.choices[0].model_dump()
        if not choice.get("token_ids"):
            assert "routed_experts" not in choice
            continue
        rows.append(golden.decode_routing(choice))
        tokens += choice["token_ids"]
        assert len(rows[-1]) == len(choice["token_ids"]), "a chunk has its own tokens' rows"
    assert tokens == whole.choices[0].token_ids
    numpy.testing.assert_array_equal(numpy.concatenate(rows), routing[-len(tokens):])


def test_completions_with_logprobs(client, model):
    answer = client.completions.create(model=model, prompt="Hello", max_tokens=4, logprobs=2,
                                       echo=True, temperature=0, extra_body={"ignore_eos": True})
    logprobs = answer.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset)
    assert len(logprobs.tokens) == answer.usage.prompt_tokens + 4
    assert answer.choices[0].text.startswith("Hello")


def test_several_prompts_and_choices_with_a_seed(client, model):
    arguments = dict(model=model, prompt=["One", "Two"], n=2, max_tokens=6, temperature=1.0, seed=11,
                     extra_body={"ignore_eos": True})
    first = client.completions.create(**arguments)
    assert [choice.index for choice in first.choices] == [0, 1, 2, 3]
    texts = [choice.text for choice in first.choices]
    assert texts == [choice.text for choice in client.completions.create(**arguments).choices]
    assert texts[0] != texts[1]


def test_stop_text_is_left_out(client, model):
    arguments = dict(model=model, prompt="Hello", max_tokens=24, temperature=0,
                     extra_body={"ignore_eos": True})
    text = client.completions.create(**arguments).choices[0].text
    stop = text[len(text) // 2:][:2]
    stopped = client.completions.create(stop=[stop], **arguments).choices[0]
    assert stopped.finish_reason == "stop"
    assert stopped.text == text[: text.index(stop)]


@pytest.mark.parametrize("arguments, error", [
    (dict(model="no-such-model"), openai.NotFoundError),
    (dict(temperature=9), openai.BadRequestError),
    (dict(max_tokens=10**9), openai.BadRequestError),
    (dict(messages=[]), openai.BadRequestError),
])
def test_errors_map_to_exception_classes(client, model, arguments, error):
    with pytest.raises(error) as raised:
        client.chat.completions.create(**{**dict(model=model, messages=MESSAGES), **arguments})
    assert raised.value.body["message"]
