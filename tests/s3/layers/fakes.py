"""What surrounds a layer in its tests: answers, a neighbour inside, and a time that passes when told."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from haulyard.s3.request import Request
from haulyard.s3.response import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class Http:
    """As much of an HttpResponse as a layer touches."""

    def __init__(
        self, status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        self.content = body
        self.is_closed = False

    async def read(self, limit: int = -1) -> bytes:
        self.is_closed = True
        return self.content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content

    async def close(self) -> None:
        self.is_closed = True


def error_body(code: str, message: str = "it went wrong") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def answer(
    status: int = 200,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    ok: bool | None = None,
    streamed: bytes | None = None,
) -> HttpAnswer:
    """Return what the innermost layer would return; ``streamed`` is a body that is yet to be read."""
    http: Any = Http(status, headers, streamed or b"")
    body = None if streamed is not None else error_body(code) if code else b""
    return HttpAnswer(http, body, ok=status < 300 if ok is None else ok)


def request(operation: str = "GetObject", method: str = "GET", **fields: Any) -> Request:
    return Request(operation, method, **{"bucket": "bucket", "key": "key"} | fields)


class Inner:
    """The neighbour inside: gives what it was told to, one outcome after the other, then successes."""

    def __init__(self, *outcomes: HttpAnswer | Exception) -> None:
        self.outcomes = deque(outcomes)
        self.attempts: list[int] = []

    async def __call__(self, request: Request) -> HttpAnswer:
        self.attempts.append(request.attempt)
        outcome = self.outcomes.popleft() if self.outcomes else answer()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Time:
    """A clock that only moves when somebody sleeps, and what was slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
