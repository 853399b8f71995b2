"""What a test writes down about an HTTP API (rules), and what it reads afterwards (calls)."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

import orjson

from haulyard.testing._http1 import Answer, render_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

OK: Final = b'{"status":"ok"}'
"""The body of every answer that no rule concerns."""

KEY: Final = "idempotency-key"
"""The header that a log file keeps of a call."""

_JSON: Final = {"content-type": "application/json"}


class Call(NamedTuple):
    """A call as the server saw it.

    Attributes:
        number: Counted from 1 in the order in which calls were read.
        time: When it had been read, in seconds of `time.monotonic`, which all processes of a machine share.
        wall: Likewise, in POSIX seconds.
        method: The HTTP method.
        path: Path and query exactly as they came.
        head: Request line and headers as they came; read from a log file, its idempotency key alone.
        body: The body; empty where a rule ended the connection before it was read.
        status: What it is answered with; 0 where it gets no whole answer.
    """

    number: int
    time: float
    wall: float
    method: str
    path: str
    head: bytes
    body: bytes
    status: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of one that is repeated the last counts."""
        lines = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}

    @property
    def key(self) -> str:
        """The Idempotency-Key; empty where there is none."""
        return self.headers.get(KEY, "")

    @property
    def delivered(self) -> bool:
        """Whether it was answered with 2xx: an error told in the body of a 200 is the caller's to find."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the body, parsed."""
        return orjson.loads(self.body)

    def line(self) -> bytes:
        """Return it as a line of a log file."""
        body = self.body.decode("utf-8", "replace")
        told = [self.wall, self.time, self.status, self.method, self.path, self.key, body]
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_line(cls, number: int, line: bytes) -> Self:
        """Return what `line` wrote."""
        wall, at, status, method, path, key, body = orjson.loads(line)
        head = f"{method} {path} HTTP/1.1\r\n{KEY}: {key}".encode("latin-1")
        return cls(number, at, wall, method, path, head, body.encode(), status)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that happens to calls, and to which.

    Attributes:
        status: The status of the answer.
        headers: Its further headers.
        body: Its body, or a function that makes it from the call; by default `{"status":"ok"}`, or the
            reason phrase as `{"error": …}` from 400 up. An error that a 200 tells is a body.
        retry_after: Seconds that the answer asks to wait; None for no Retry-After.
        as_date: Tell them as an HTTP date (in whole seconds, rounded up).
        delay: Seconds between reading the call and answering.
        hang: Do not answer until the server's `release` is called.
        reset: Reset the connection (TCP RST) instead, `"before"` or `"after"` the body has been read.
        close: Close it in good order instead, without an answer.
        half: Announce the whole body, send half of it and close.
        limit: Hit only calls that would be more than so many in a sliding window of so many seconds, as
            rate-limiting APIs do; what is hit does not count towards the window.
        contains: Hit only calls whose body contains this text: a poison record.
        where: Hit only calls that satisfy this. `body` is empty with `reset="before"`.
        every: Of the calls that the tests above let through, hit each n-th: 10 is the tenth, twentieth …
        times: How many calls it hits at most; None for no limit.

    Raises:
        ValueError: If two of its endings exclude each other, or a number makes no sense.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | Callable[[Call], bytes] | None = None
    retry_after: float | None = None
    as_date: bool = False
    delay: float = 0.0
    hang: bool = False
    reset: Literal["", "before", "after"] = ""
    close: bool = False
    half: bool = False
    limit: tuple[int, float] | None = None
    contains: str = ""
    where: Callable[[Call], bool] | None = None
    every: int = 1
    times: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if sum((bool(self.reset), self.close, self.half)) > 1:
            raise ValueError("of reset, close and half only one can happen")
        if self.every < 1 or self.delay < 0 or (self.limit is not None and min(self.limit) <= 0):
            raise ValueError("every, delay and limit have to be positive")
        if self.contains and self.reset == "before":
            raise ValueError("before its body has been read nobody knows what it contains")

    @property
    def answers(self) -> bool:
        """Whether the caller gets a whole answer."""
        return not (self.reset or self.close or self.half)

    def answer_to(self, call: Call) -> bytes:
        """Return the answer as it goes out: the first half of the body where there is to be no more."""
        headers = _JSON | dict(self.headers)
        if self.retry_after is not None:
            until = formatdate(ceil(time() + self.retry_after), usegmt=True)
            headers["retry-after"] = until if self.as_date else f"{self.retry_after:g}"
        body = self._body(call)
        head = render_head(Answer(self.status, headers, body), keep_alive=not self.half)
        return head + (body[: len(body) // 2] if self.half else body)

    def _body(self, call: Call) -> bytes:
        body = self.body
        if body is None:
            return OK if self.status < HTTPStatus.BAD_REQUEST else error_body(self.status)
        if callable(body):
            return body(call)
        return body.encode() if isinstance(body, str) else body


def error_body(status: int) -> bytes:
    """Return the body of an answer that refuses."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return orjson.dumps({"error": phrase})


class Applied:
    """A rule in force: what it has seen and hit is counted."""

    __slots__ = ("_contained", "_hits", "_recent", "_seen", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._contained = rule.contains.encode()
        self._seen = 0
        self._hits = 0
        self._recent: deque[float] = deque()

    def hits(self, call: Call) -> bool:
        """Whether it hits a call, which counts."""
        rule = self.rule
        if rule.times is not None and self._hits >= rule.times:
            return False
        if self._contained not in call.body or (rule.where is not None and not rule.where(call)):
            return False
        if rule.limit is not None and self._within(rule.limit, call.time):
            return False
        self._seen += 1
        if self._seen % rule.every:
            return False
        self._hits += 1
        return True

    def _within(self, limit: tuple[int, float], now: float) -> bool:
        calls, period = limit
        recent = self._recent
        while recent and recent[0] <= now - period:
            recent.popleft()
        if len(recent) >= calls:
            return False
        recent.append(now)
        return True


class Log:
    """The calls in the order in which they were read: in memory, in a file, or in both.

    A line of the file is in the kernel's hands before the call is answered: what was delivered is in it
    whatever is killed afterwards.
    """

    def __init__(self, path: str | None, *, in_memory: bool, bodies: bool) -> None:
        self.calls: list[Call] = []
        self.watch: Callable[[Call], None] | None = None
        self._in_memory = in_memory
        self._bodies = bodies
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = -1 if path is None else os.open(path, append | os.O_CLOEXEC, 0o644)

    def add(self, call: Call) -> None:
        """Write a call down."""
        if not self._bodies:
            call = call._replace(body=b"")
        if self._file >= 0:
            os.write(self._file, call.line())
        if self._in_memory:
            self.calls.append(call)
        if self.watch is not None:
            self.watch(call)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_log(path: str | os.PathLike[str]) -> list[Call]:
    """Return the calls that a log file holds; a line that was cut off by a kill is none."""
    with open(path, "rb") as file:
        return [Call.from_line(n, line) for n, line in enumerate(file, 1) if line.endswith(b"\n")]


def windows(times: Iterable[float], seconds: float) -> int:
    """Return the most moments that lie in any sliding window of ``seconds``, its end excluded."""
    ordered: Sequence[float] = sorted(times)
    most = first = 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
