"""What an answer of the API means."""

from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.records.judging import LONGEST_PAUSE, Judge, Verdict, describe, retry_after


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DELIVERED) for status in (200, 201, 202, 204, 299)),
        *((status, Verdict.REJECTED) for status in (100, 400, 404, 405, 409, 410, 413, 415, 422, 451, 499)),
        *((status, Verdict.AGAIN) for status in (408, 425, 500, 502, 503, 504, 599)),
        *((status, Verdict.DENIED) for status in (401, 403)),
        *((status, Verdict.MOVED) for status in (301, 302, 307, 308)),
        (429, Verdict.THROTTLED),
    ],
)
def test_the_status_decides(status: int, verdict: Verdict) -> None:
    assert Judge().verdict(status, {}, b"") is verdict


def test_unavailable_with_a_time_is_a_wish_to_wait() -> None:
    assert Judge().verdict(503, {"retry-after": "1"}, b"") is Verdict.THROTTLED
    assert Judge().verdict(500, {"retry-after": "1"}, b"") is Verdict.AGAIN


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"status":"ok"}', Verdict.DELIVERED),
        (b'{"status":"error"}', Verdict.REJECTED),
        (b"{}", Verdict.REJECTED),
        (b"", Verdict.REJECTED),
        (b"<html>", Verdict.REJECTED),
    ],
)
def test_an_expression_looks_into_answers_that_seem_well(body: bytes, verdict: Verdict) -> None:
    assert Judge("status == 'ok'").verdict(200, {}, body) is verdict


def test_an_expression_says_nothing_of_other_answers() -> None:
    assert Judge("status == 'ok'").verdict(500, {}, b'{"status":"ok"}') is Verdict.AGAIN


def test_a_function_that_does_not_fit_the_answer_is_no_success() -> None:
    judge = Judge("length(errors) == `0`")
    assert judge.verdict(200, {}, b'{"errors":[]}') is Verdict.DELIVERED
    assert judge.verdict(200, {}, b'{"errors":7}') is Verdict.REJECTED


@pytest.mark.parametrize("expression", ["status ==", " ", "nope(", "'"])
def test_what_is_no_expression_is_named(expression: str) -> None:
    with pytest.raises(ConfigError, match="is no JMESPath expression") as caught:
        Judge(expression)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9999999"}, LONGEST_PAUSE),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        # The server's own clock goes before ours.
        ({"retry-after": "Thu, 01 Jan 1970 01:00:05 GMT", "date": "Thu, 01 Jan 1970 01:00:00 GMT"}, 5.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT", "date": "yesterday"}, 40.0),
    ],
)
def test_the_server_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 60.0) == seconds


def test_an_answer_is_described_in_one_line() -> None:
    assert describe(422, b"") == "HTTP 422"
    assert describe(422, b'{\n  "error": "no such city"\n}') == 'HTTP 422: { "error": "no such city" }'
    assert len(describe(500, b"x" * 10_000)) < 250
    assert describe(500, b"\xff") == "HTTP 500: \ufffd"
