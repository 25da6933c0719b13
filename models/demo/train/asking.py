"""Asks a server of the OpenAI chat API questions, many at a time. Needs `openai` and `numpy`."""

import collections.abc
import concurrent.futures
import dataclasses
import hashlib
import re
import typing

import numpy
import numpy.typing
import openai

import repository

REQUEST_TIMEOUT_S = 600
# More than twice the longest answer the model is taught; one that goes on longer is lost in its reasoning.
MAX_TOKENS = 512
CONCURRENCY = 16

Routing: typing.TypeAlias = numpy.typing.NDArray[numpy.int32]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server said to one question."""

    reasoning: str
    content: str
    finish_reason: str
    completion_tokens: int
    routing: Routing | None  # Experts by descending weight, [tokens, MoE layers, top-k]; when asked for.

    @property
    def number(self) -> int | None:
        """The number the answer is scored on."""
        return last_number(self.content)

    @property
    def sha256(self) -> str:
        """Of both texts, with a NUL between them: no text of a model without that byte can stand for another."""
        return hashlib.sha256(f"{self.reasoning}\0{self.content}".encode()).hexdigest()


def last_number(text: str) -> int | None:
    """The last integer of a text; a hyphen or a minus sign makes it negative unless something stands before it."""
    numbers = re.findall(r"(?<!\w)[-−]\d+|\d+", text)
    return int(numbers[-1].replace("−", "-")) if numbers else None


class ChatServer:
    """A server and how it is asked: each question a conversation of its own, greedily. Thread-safe."""

    def __init__(self, url: str, max_tokens: int = MAX_TOKENS, return_routing: bool = False) -> None:
        """`url` without /v1. `return_routing` needs a router with --enable-return-routed-experts."""
        self._client = openai.OpenAI(base_url=url.rstrip("/") + "/v1", api_key="unused", max_retries=0,
                                     timeout=REQUEST_TIMEOUT_S)
        self._model = self._client.models.list().data[0].id
        self._max_tokens = max_tokens
        self._extra = {"return_routed_experts": True} if return_routing else None

    def ask(self, question: str) -> Answer:
        """One answer. Errors: those of the openai client."""
        answer = self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": question}], temperature=0,
            max_tokens=self._max_tokens, extra_body=self._extra)
        choice = answer.choices[0]
        assert answer.usage is not None
        return Answer(
            reasoning=getattr(choice.message, "reasoning_content", None) or "",
            content=choice.message.content or "",
            finish_reason=choice.finish_reason,
            completion_tokens=answer.usage.completion_tokens,
            routing=repository.decode_routing(choice.model_dump()) if self._extra else None)

    def ask_all(self, questions: collections.abc.Sequence[str], concurrency: int = CONCURRENCY) -> list[Answer]:
        """The answers in the order of the questions, `concurrency` of which are asked at a time."""
        with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(self.ask, questions))
