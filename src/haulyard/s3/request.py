"""The two values of the S3 pipeline, and the shape of its layers.

A layer is a `Send` around a `Send`::

    observe(retry(limit(sign(transport))))

Builders (objects, multipart, listing, batch, buckets) make a `Request` without any I/O; parsers turn the
head and body of a `Response` into values. A Request names bucket and key, not a URL: the address and the
signature are made for each attempt in the ``sign`` layer, so that a region just learned or credentials
just refreshed are used at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models.body import Body, Buffer

#: Looks into a buffered 2xx answer: True where it is the success that it says (a 200 of CopyObject,
#: CompleteMultipartUpload … may hold an ``<Error>``), False where it must be treated as a 500.
Classify = Callable[[int, Mapping[str, str], bytes], bool]


@dataclass(slots=True)
class Request:
    """One S3 call, before it has an address, a date and a signature.

    ``query`` holds unencoded pairs; a pair with an empty value is a sub-resource (``?uploads=``).
    ``headers`` are lower case. ``body`` is sent as it is; ``content_sha256`` is its hex digest where known
    (else ``UNSIGNED-PAYLOAD`` over https and for bodies of no interest, see `haulyard.s3.layers.sign`).

    ``kind`` is ``read``, ``write``, ``list`` or ``delete`` (the limiter's classes). ``streamed`` answers
    are handed out unread; all others are read whole before the layers look at them.
    ``repeatable`` is False where a second execution could do harm (a delete that would leave a second
    marker, a conditional write whose first try may have succeeded): such a call is reconciled by its
    caller when its fate is unknown, never repeated blindly.
    ``classify`` is given where a 200 may be a failure.
    """

    operation: str
    method: str
    bucket: str = ""
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: Body | None = None
    kind: str = "read"
    streamed: bool = False
    repeatable: bool = True
    classify: Classify | None = None
    content_sha256: str = ""
    attempt: int = 1


class Response(Protocol):
    """An answer. Use it as an async context manager: slot and observation last until its end.

    ``headers`` are lower case; a value that is not ASCII is `haulyard.http.UNREADABLE`. ``body`` is the whole
    body of an answer that is not streamed, and b"" for a streamed one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int

    async def read(self) -> bytes:
        """Read the rest of the body whole (bounded by Content-Length); TransportError if it is cut."""
        ...

    def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the body as it comes; TransportError if it is cut short or reset."""
        ...

    async def close(self) -> None:
        """Give up the rest of the body; closing twice is harmless."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


Send = Callable[[Request], Awaitable[Response]]
