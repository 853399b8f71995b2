"""An OpenAI-compatible endpoint of embeddings, as a target of records."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from haulyard.errors import ApiDenied, ConfigError, IngestError, RecordError, TransportError
from haulyard.ingest.embedding.answers import (
    WIDTH,
    MalformedAnswerError,
    fault_of,
    vectors_of,
)
from haulyard.records.judging import describe
from haulyard.records.secrets import check_address
from haulyard.records.target import Answer, Api, HttpTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.config import Settings
    from haulyard.ingest.embedding.model import Embedding

OPENAI: Final = "https://api.openai.com/v1"
KEY: Final = "OPENAI_API_KEY"
#: 2,048 vectors of 1,536 numbers, written out with 20 digits each.
_LONGEST: Final = 64 * 1024**2
#: There is no such path, or nothing that takes a POST: no text is to blame for that.
_NOT_THERE: Final = frozenset({404, 405, 410})
#: What another attempt may help with: `haulyard.records.judging`.
_PASSING: Final = frozenset({408, 425, 429})


def address_of(embedding: Embedding, environ: Mapping[str, str]) -> str:
    """Return the URL that texts are sent to, its ``${VARIABLES}`` unfilled.

    Raises:
        ConfigError: It is none, or holds a secret.
    """
    base = embedding.url or environ.get("OPENAI_BASE_URL", "") or OPENAI
    check_address(base)
    path, question, query = base.partition("?")
    path = path.rstrip("/")
    if not path.startswith("${"):
        url = urlsplit(path)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ConfigError(
                "the endpoint's address is no http:// or https:// URL",
                hint="write Embedding(url='http://localhost:8080/v1'), or set OPENAI_BASE_URL",
            )
    whole = path if path.endswith("/embeddings") else f"{path}/embeddings"
    return f"{whole}{question}{query}"


def headers_of(url: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers of a call, the variable of the key unfilled; without a key there is none.

    Raises:
        ConfigError: OpenAI itself needs a key.
    """
    if environ.get(KEY):
        return (("Authorization", f"Bearer ${{{KEY}}}"),)
    if urlsplit(url).hostname == urlsplit(OPENAI).hostname:
        raise ConfigError(
            f"the variable {KEY} is not set, and OpenAI answers nobody without a key",
            hint=f"export {KEY}=…, or name another endpoint: Embedding(url='http://localhost:8080/v1')",
        )
    return ()


class Endpoint:
    """Sends records ``{"id": …, "text": …}`` as one request, and tells their vectors apart.

    What is kept of an answer is ``{"id": …, "vector": …}``, with the vector as base64 of float32.

    Args:
        embedding: The model, and how it is asked.
        url: Where it is.
        settings: Of the connections.
        environ: Has the key.
        dimensions: Numbers of the vectors that were kept of an earlier run, 0 where there are none.
        wanted: Numbers of the vectors that the table has already, 0 where it has none.

    Raises:
        ConfigError: The address is none, or there is no key where one is needed.
    """

    def __init__(
        self,
        embedding: Embedding,
        url: str,
        settings: Settings,
        environ: Mapping[str, str],
        dimensions: int = 0,
        wanted: int = 0,
    ) -> None:
        api = Api(url, headers=headers_of(url, environ), timeout=embedding.timeout, longest=_LONGEST)
        self._api = HttpTarget(api, settings, environ)
        self._model = embedding.model
        self._asked = embedding.dimensions
        self._dimensions = dimensions
        self._wanted = wanted
        self._encoding = "base64"
        self.name = self._api.name

    async def call(self, body: bytes, key: str) -> Answer:
        """Make one call.

        Raises:
            TransportError: No answer came, or one that is none.
            RecordError: One of the texts is refused.
            ApiDenied: The endpoint refuses the caller.
            ConfigError: It does not know the model, or there is no endpoint.
            IngestError: Vectors are of another length than those before.
        """
        records: list[dict[str, str]] = orjson.loads(body)
        answer = await self._api.call(self._request(records), key)
        if not 200 <= answer.status < 300:  # noqa: PLR2004 -- the classes of HTTP
            return self._refused(answer)
        try:
            vectors = vectors_of(answer.body, len(records))
        except MalformedAnswerError as error:
            raise TransportError(str(error), kind="body") from None
        self._check_dimensions(len(vectors[0]) // WIDTH)
        return answer._replace(body=b"", each=_told(records, vectors))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def _request(self, records: Sequence[Mapping[str, str]]) -> bytes:
        asked: dict[str, Any] = {"model": self._model, "input": [each["text"] for each in records]}
        if self._encoding:
            asked["encoding_format"] = self._encoding
        if self._asked:
            asked["dimensions"] = self._asked
        return orjson.dumps(asked)

    def _check_dimensions(self, found: int) -> None:
        # Of calls that are in flight together the first that is answered says what all have to be.
        self._dimensions = self._dimensions or found
        if self._wanted not in {0, found}:
            raise IngestError(
                f"the table has vectors of {self._wanted} numbers, and {self._model} makes some of {found}",
                hint="use the model of the rows that are there, or name another column: Embedding(into=)",
            )
        if found != self._dimensions:
            raise IngestError(
                f"{self.name} answered with vectors of {self._dimensions} numbers, and now of {found}",
                hint="the model behind the endpoint was changed: start over with Embedding(new=True)",
            )

    def _refused(self, answer: Answer) -> Answer:
        """Return an answer that concerns the moment; raise for one of its texts, or of everything."""
        fault, status = fault_of(answer.body), answer.status
        said = f"HTTP {status}: {fault.message}" if fault.message else describe(status, answer.body)
        if self._encoding and status in {400, 422} and b"encoding_format" in answer.body:
            self._encoding = ""
            raise TransportError("the endpoint knows no base64: it is asked for numbers", kind="request")
        if status in {401, 403}:
            raise ApiDenied(
                f"{self.name} refuses the caller: {said}",
                status=status,
                hint=f"check {KEY}, and run it again",
            )
        if status == 402 or fault.is_of_the_account:  # noqa: PLR2004 -- Payment Required
            raise ApiDenied(
                f"{self.name} serves this account no more: {said}",
                status=status,
                hint="nothing that was paid for is lost: run the same command again with money in it",
            )
        if 300 <= status < 400:  # noqa: PLR2004 -- likewise
            where = answer.headers.get("location", "somewhere else").partition("?")[0]
            raise ConfigError(f"{self.name} is at {where}", hint="name that: Embedding(url='URL')")
        if status in _NOT_THERE or (status < 500 and fault.is_of_the_model):  # noqa: PLR2004 -- likewise
            raise ConfigError(
                f"{self.name} does not embed with model {self._model!r}: {said}",
                hint="check Embedding(model=) and Embedding(url=); models are listed at …/models",
            )
        if 400 <= status < 500 and status not in _PASSING:  # noqa: PLR2004 -- likewise
            raise RecordError(said, status=status, answer=answer.body)
        return answer


def _told(records: Sequence[Mapping[str, str]], vectors: Sequence[bytes]) -> list[bytes]:
    return [
        orjson.dumps({"id": record["id"], "vector": b64encode(vector).decode()})
        for record, vector in zip(records, vectors, strict=True)
    ]
