"""What a fault makes of an answer, as functions of values."""

from __future__ import annotations

import re
from calendar import timegm
from time import strptime
from typing import TYPE_CHECKING, Final

from haulyard.testing._http1 import Answer
from haulyard.testing._s3_xml import error_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.testing._script import Fault

MAX_SKEW: Final = 900
"""Seconds that a request's date may be off: S3's MaxAllowedSkewMilliseconds."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_FIRST_ERROR: Final = 400
_FIRST_REDIRECT: Final = 300


def canned_answer(fault: Fault) -> Answer:
    """Return the answer that is written in the script."""
    status, headers = fault.status or 200, dict[str, str]()
    if fault.redirect is not None:
        status, location, further = fault.redirect
        headers = {} if location is None else {"location": location}
        headers |= {name.lower(): value for name, value in further.items()}
    if fault.body is not None:
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        return Answer(status, headers, body)
    if status >= (_FIRST_ERROR if fault.redirect is None else _FIRST_REDIRECT):
        return error_answer(status, headers=headers)
    return Answer(status, headers)


def spoiled(answer: Answer, fault: Fault, whole: bytes | None) -> Answer:
    """Return an answer with its range and its headers spoiled.

    Args:
        answer: The answer so far.
        fault: What to do to it.
        whole: The content of the whole object, for `wrong_range="whole"`.
    """
    headers = dict(answer.headers)
    content_range = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if content_range is not None and fault.wrong_range == "whole" and whole is not None:
        del headers["content-range"]
        answer = Answer(200, headers, whole)
    elif content_range is not None and fault.wrong_range == "missing":
        del headers["content-range"]
    elif content_range is not None and fault.wrong_range == "wrong":
        first, last, size = map(int, content_range.groups())
        headers["content-range"] = f"bytes {first + 1}-{last + 1}/{size}"
    for name, value in fault.headers.items():
        if value is None:
            headers.pop(name.lower(), None)
        else:
            headers[name.lower()] = value
    return Answer(answer.status, headers, answer.body)


def refused_for_its_date(headers: Mapping[str, str], server_time: float) -> Answer | None:
    """Return RequestTimeTooSkewed for a request whose `x-amz-date` is too far off, else None.

    Args:
        headers: Of the request, by lower-case name.
        server_time: What the server takes for the time, in seconds since the epoch.
    """
    date = headers.get("x-amz-date")
    if date is None or abs(timegm(strptime(date, "%Y%m%dT%H%M%SZ")) - server_time) <= MAX_SKEW:
        return None
    message = "The difference between the request time and the current time is too large."
    return error_answer(403, "RequestTimeTooSkewed", message)
