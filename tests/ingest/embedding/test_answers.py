"""What an endpoint answers is vectors in the order of the texts, or refused."""

from __future__ import annotations

from base64 import b64encode
from struct import pack
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.ingest.embedding.answers import Fault, MalformedAnswerError, fault_of, vectors_of

ONE, TWO = [1.0, 0.5], [-2.0, 0.25]
PACKED = [pack("<2f", *ONE), pack("<2f", *TWO)]


def answer(*data: Any) -> bytes:
    return orjson.dumps({"data": data})


@pytest.mark.parametrize(
    "body",
    [
        answer({"index": 0, "embedding": ONE}, {"index": 1, "embedding": TWO}),
        answer({"index": 1, "embedding": TWO}, {"index": 0, "embedding": ONE}),
        answer({"embedding": ONE}, {"embedding": TWO}),
        answer({"index": 1, "embedding": b64encode(PACKED[1]).decode()}, {"index": 0, "embedding": ONE}),
        answer({"embedding": [1, 0.5]}, {"embedding": [-2, 0.25]}),
    ],
)
def test_vectors_come_in_the_order_of_the_texts(body: bytes) -> None:
    assert vectors_of(body, 2) == PACKED


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "no JSON"),
        (b"[]", "no embeddings"),
        (b"null", "no embeddings"),
        (b'{"data": {}}', "0 vectors for 2"),
        (answer({"embedding": ONE}), "1 vectors for 2"),
        (answer({"embedding": ONE}, {}), "no embeddings"),
        (answer({"embedding": ONE}, 7), "no embeddings"),
        (answer({"index": 0, "embedding": ONE}, {"index": 0, "embedding": TWO}), "whose"),
        (answer({"index": 0, "embedding": ONE}, {"index": 2, "embedding": TWO}), "whose"),
        (answer({"index": 0, "embedding": ONE}, {"embedding": TWO}), "no embeddings"),
        (answer({"embedding": ONE}, {"embedding": [1.0]}), "1, 2 numbers"),
        (answer({"embedding": []}, {"embedding": []}), "0 numbers"),
        (answer({"embedding": ONE}, {"embedding": [1.0, None]}), "no embeddings"),
        (answer({"embedding": ONE}, {"embedding": [1.0, "2"]}), "no embeddings"),
        (answer({"embedding": ONE}, {"embedding": [1.0, 1e39]}), "not finite"),
        (answer({"embedding": ONE}, {"embedding": "AAAA!"}), "no base64"),
        (answer({"embedding": ONE}, {"embedding": "AAAA"}), "not of float32"),
        (
            answer({"embedding": ONE}, {"embedding": b64encode(pack("<2f", 1.0, float("nan"))).decode()}),
            "not finite",
        ),
    ],
)
def test_what_is_not_one_vector_for_each_text_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedAnswerError, match=says):
        vectors_of(body, 2)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(
                st.sampled_from(["data", "index", "embedding", "error", "message", "code"]), each
            )
        ),
    )
)
def test_no_json_is_met_by_any_other_error(told: Any) -> None:
    body = orjson.dumps(told)
    fault_of(body)
    with pytest.raises(MalformedAnswerError):
        vectors_of(body, 3)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"error":{"message":"m","type":"t","param":"model","code":"c"}}', Fault("m", "c", "model")),
        (
            b'{"error":{"message":"m","type":"insufficient_quota","code":null}}',
            Fault("m", "insufficient_quota"),
        ),
        (b'{"error":"no such model"}', Fault("no such model")),
        (b'{"detail":"Not Found"}', Fault("Not Found")),
        (b'{"message":"m","code":404}', Fault("m")),
        (b"<html>", Fault()),
        (b"[]", Fault()),
    ],
)
def test_errors_are_read_in_the_forms_that_there_are(body: bytes, fault: Fault) -> None:
    assert fault_of(body) == fault
