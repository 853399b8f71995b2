"""What an OpenAI-compatible endpoint answers to ``POST /embeddings``. Pure.

::

    {"data": [{"index": 0, "embedding": [0.25, …] or "AACAPg…" (base64 of float32, little endian)}, …]}
"""

from __future__ import annotations

import binascii
import math
from array import array
from base64 import b64decode
from typing import Any, Final, NamedTuple

import orjson

#: Bytes of a float32.
WIDTH: Final = 4
#: Codes of errors that concern every text, by OpenAI's names.
_OF_THE_MODEL: Final = frozenset({"model_not_found", "invalid_model", "unsupported_model"})
_NO_QUOTA: Final = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})


class MalformedAnswerError(Exception):
    """An answer that has not one vector for each text."""


class Fault(NamedTuple):
    """An error as an endpoint tells it, each field ``""`` where it does not.

    ``param`` is the field of the request that is wrong.
    """

    message: str = ""
    code: str = ""
    param: str = ""

    @property
    def is_of_the_model(self) -> bool:
        """Whether the model is what is refused."""
        return self.param == "model" or self.code in _OF_THE_MODEL

    @property
    def is_of_the_account(self) -> bool:
        """Whether the caller has nothing left to pay with, so that waiting does not help."""
        return self.code in _NO_QUOTA


def vectors_of(body: bytes, count: int) -> list[bytes]:
    """Return the vectors of ``count`` texts in the order of the texts, each as float32, little endian.

    They are put in order by ``index``, or taken in the order of the answer where none has an index.

    Raises:
        MalformedAnswerError: There is not one vector for each text, or they are not alike in length, or one
            is not of finite numbers.
    """
    try:
        data = orjson.loads(body)["data"]
        vectors = [_vector(each["embedding"]) for each in _ordered(data, count)]
    except orjson.JSONDecodeError:
        raise MalformedAnswerError("the answer is no JSON") from None
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise MalformedAnswerError(
            f"the answer holds no embeddings: {type(error).__name__}: {error}"
        ) from None
    lengths = sorted({len(each) // WIDTH for each in vectors})
    if len(lengths) != 1 or not lengths[0]:
        raise MalformedAnswerError(f"the answer holds vectors of {', '.join(map(str, lengths))} numbers")
    return vectors


def fault_of(body: bytes) -> Fault:
    """Return the error that a body tells, in OpenAI's form or as FastAPI and others have it."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Fault()
    if not isinstance(told, dict):
        return Fault()
    error = told.get("error", told.get("detail", told))
    if not isinstance(error, dict):
        return Fault(str(error))
    # Some say only one of the two.
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    return Fault(
        *(each if isinstance(each, str) else "" for each in (error.get("message"), code, error.get("param")))
    )


def _ordered(data: Any, count: int) -> list[dict[str, Any]]:  # noqa: ANN401 -- whatever JSON it is
    if not isinstance(data, list) or len(data) != count:
        found = len(data) if isinstance(data, list) else 0
        raise MalformedAnswerError(f"the answer holds {found} vectors for {count} texts")
    places = [each.get("index") for each in data]
    if all(place is None for place in places):
        return data
    if sorted(places) != list(range(count)):
        raise MalformedAnswerError("the answer does not say which vector is whose: index is wrong")
    ordered = list(data)
    for place, each in zip(places, data, strict=True):
        ordered[place] = each
    return ordered


def _vector(embedding: Any) -> bytes:  # noqa: ANN401 -- likewise
    if isinstance(embedding, str):
        try:
            packed = b64decode(embedding, validate=True)
        except binascii.Error:
            raise MalformedAnswerError("the answer holds a vector that is no base64") from None
        if len(packed) % WIDTH:
            raise MalformedAnswerError("the answer holds a vector that is not of float32")
        numbers = memoryview(packed).cast("f")
    else:
        # Raises TypeError at what is no number.
        made = array("f", embedding)
        packed, numbers = made.tobytes(), memoryview(made)
    # Sums of float64: of finite float32 they stay finite.
    if not math.isfinite(sum(numbers)):
        raise MalformedAnswerError("the answer holds a vector with a number that is not finite")
    return packed
