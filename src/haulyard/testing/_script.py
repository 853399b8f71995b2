"""What a test writes down (faults) and what it reads afterwards (requests)."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

BODY_KEPT: Final = 1 << 16
"""Bytes of a request body that a `RecordedRequest` keeps."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as the server saw it.

    Attributes:
        operation: Its name in S3's API, such as `PutObject`; `Unknown` where it has none.
        bucket: Decoded; empty where the request names none.
        key: Decoded; empty where the request names none.
        attempt: 1 for the first request for this very thing (operation, bucket, key, query, range),
            2 for the same again, and so on, counted since the script was set.
        method: The HTTP method.
        path: The path exactly as it came on the wire.
        query: The query exactly as it came on the wire, without its question mark.
        headers: Values by lower-case name.
        body: The body, its first 64 KiB at most.
        body_length: Bytes of the body that were read.
        body_sha256: SHA-256 of those bytes, in hex.
        complete: Whether that is the whole body; False where a fault stopped reading, or where the
            client left in the middle of it (then the request is not carried out).
        connection: Which connection it came on, counted from 1.
        time: When its body had been read, in seconds of `time.monotonic`.
        fault: What was done to it, or None.
    """

    operation: str
    bucket: str
    key: str
    attempt: int
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    body_length: int
    body_sha256: str
    complete: bool
    connection: int
    time: float
    fault: Fault | None

    @property
    def parameters(self) -> dict[str, str]:
        """The query, decoded."""
        return parse_query(self.query)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and for which requests.

    The request is carried out as usual and its answer spoiled, unless the fault leaves nothing to
    spoil: with `status`, `body` or `redirect` given, with `reset_after=0`, `close_without_answer`
    or `stale`, the operation is *not* carried out, except with `before=True`: then it is, and only
    its answer is lost.

    Attributes:
        operation: The operation by its name in S3's API, `"*"` for every one.
        bucket: The bucket; None for every one.
        key: The key; None for every one.
        attempts: Which attempts of a request are hit, counted from 1 for each request by itself
            (see `RecordedRequest.attempt`): some numbers, a range, or `"all"`.
        times: How many requests it hits at most; None for no limit.
        where: A further test that a request has to pass, for instance on its range. `body` is
            empty at that time: it has not been read yet.
        status: Answer with this status. Without `body`, from 400 up, the body is an S3 error with
            the commonest code of that status (503 SlowDown, 500 InternalError …).
        headers: Headers of the answer that are added or replaced; None as a value removes one.
        body: Answer with this body, with status 200 unless `status` is given.
        redirect: Answer with this status, Location (None for none, as S3 does in other regions)
            and further headers.
        delay: Seconds between reading the request and answering.
        reset_after: Send this many bytes of the answer's body, then reset the connection (TCP RST);
            0 resets before the status line. With fewer bytes in the body, after all of them.
        truncate: Announce the whole body, send this many bytes of it and close in good order.
        close_without_answer: Close in good order once the request has been read.
        stall: Read the request and do nothing until the server's `release` is called.
        stall_after: Send this many bytes of the answer's body and nothing more until `release`.
        stale: The connection turns out to be closed when a further request arrives on it, which is
            neither read nor carried out. Hits no first request of a connection.
        read_request_body: Read only this many bytes of the request's body before the rest of the
            fault (an answer, reset, close or stall) happens. After a stall the remainder is read.
        wrong_range: Spoil the answer to a ranged GET: `"whole"` answers 200 with the whole object,
            `"missing"` leaves Content-Range out, `"wrong"` shifts it by one byte.
        change_etag: Replace the object before the operation: True by one of the same size with
            other bytes, or by the bytes given.
        skew: Seconds by which the server's clock is off: the Date header says so, and a request
            dated more than 15 minutes away from it is refused with RequestTimeTooSkewed.
        before: Carry the operation out before failing: the answer that got lost.

    Raises:
        ValueError: If it does nothing, a number of bytes is negative, or two of its endings exclude
            each other.
    """

    operation: str = "*"
    bucket: str | None = None
    key: str | None = None
    attempts: Collection[int] | Literal["all"] = (1,)
    times: int | None = None
    where: Callable[[RecordedRequest], bool] | None = None
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | str | None = None
    redirect: tuple[int, str | None, Mapping[str, str]] | None = None
    delay: float = 0.0
    reset_after: int | None = None
    truncate: int | None = None
    close_without_answer: bool = False
    stall: bool = False
    stall_after: int | None = None
    stale: bool = False
    read_request_body: int | None = None
    wrong_range: Literal["whole", "missing", "wrong"] | None = None
    change_etag: bool | bytes = False
    skew: float = 0.0
    before: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        sizes = (self.reset_after, self.truncate, self.stall_after, self.read_request_body)
        if any(size is not None and size < 0 for size in sizes):
            raise ValueError("numbers of bytes cannot be negative")
        endings = (self.reset_after is not None, self.truncate is not None, self.close_without_answer)
        if sum((*endings, self.stale)) > 1:
            raise ValueError("of reset_after, truncate, close_without_answer and stale only one can happen")
        if self.read_request_body is not None and self.before:
            raise ValueError("an operation cannot be carried out before its body has been read")
        if self.stall and self.stall_after is not None:
            raise ValueError("of stall and stall_after only one can happen")
        if self.read_request_body is not None and not (self.stall or self.answers_without_operation):
            raise ValueError("after read_request_body something has to happen: an answer, a reset, a stall")
        spoils = (self.headers, self.delay, self.wrong_range, self.change_etag is not False, self.skew)
        if not any((*spoils, *endings, self.stale, self.stalls, self.is_canned)):
            raise ValueError("this fault does nothing")

    @property
    def is_canned(self) -> bool:
        """Whether the answer comes from the script rather than from the operation."""
        return self.status is not None or self.body is not None or self.redirect is not None

    @property
    def stalls(self) -> bool:
        """Whether it waits for the server's `release`."""
        return self.stall or self.stall_after is not None

    @property
    def answers_without_operation(self) -> bool:
        """Whether the operation's own answer is not needed."""
        return self.is_canned or self.close_without_answer or self.stale or self.reset_after == 0

    def concerns(self, request: RecordedRequest) -> bool:
        """Whether this fault is meant for a request, its use so far aside."""
        return (
            self.operation in ("*", request.operation)
            and self.bucket in (None, request.bucket)
            and self.key in (None, request.key)
            and (self.attempts == "all" or request.attempt in self.attempts)
            and (self.where is None or self.where(request))
        )


class Script:
    """The faults in force, with the attempts and uses counted. Used by the server's thread only."""

    def __init__(self, faults: Collection[Fault]) -> None:
        self._faults = tuple(faults)
        self._attempts: Counter[tuple[Any, ...]] = Counter()
        self._uses: Counter[int] = Counter()

    def next_attempt(self, operation: tuple[str, str, str], query: str, headers: Mapping[str, str]) -> int:
        """Count this request and return which attempt of its kind it is."""
        # A presigned URL that is signed again asks for the same thing.
        lasting = ((k, v) for k, v in parse_query(query).items() if not k.lower().startswith("x-amz-"))
        identity = (operation, tuple(sorted(lasting)), headers.get("range"))
        self._attempts[identity] += 1
        return self._attempts[identity]

    def choose(self, request: RecordedRequest, *, first_on_connection: bool) -> Fault | None:
        """Return the first fault that hits this request, and count its use."""
        for number, fault in enumerate(self._faults):
            used_up = fault.times is not None and self._uses[number] >= fault.times
            if used_up or (fault.stale and first_on_connection) or not fault.concerns(request):
                continue
            self._uses[number] += 1
            return fault
        return None


class RequestLog:
    """Every request in the order in which it was read; tests wait on it from their own thread."""

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []
        self._changed = threading.Condition()

    def add(self, request: RecordedRequest) -> None:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def snapshot(self) -> tuple[RecordedRequest, ...]:
        with self._changed:
            return tuple(self._requests)

    def wait_for(
        self, predicate: Callable[[RecordedRequest], bool], timeout: float, count: int
    ) -> RecordedRequest:
        def found() -> RecordedRequest | None:
            matching = [request for request in self._requests if predicate(request)]
            return matching[count - 1] if len(matching) >= count else None

        with self._changed:
            request = self._changed.wait_for(found, timeout)
        if request is None:
            seen = ", ".join(f"{r.operation} {r.bucket}/{r.key}" for r in self.snapshot()) or "nothing"
            raise TimeoutError(f"no such request within {timeout} s; seen: {seen}")
        return request


def parse_query(query: str) -> dict[str, str]:
    """Return a query decoded; a parameter without a value is there with an empty one."""
    return dict(parse_qsl(query, keep_blank_values=True))
