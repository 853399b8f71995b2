"""What can be sent: bytes, or a source of bytes that can be read again from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Buffer = bytes | bytearray | memoryview
#: For ``isinstance``: a body that is none of these is a `BodySource`. Asking a Protocol takes 13 µs.
BUFFERS = (bytes, bytearray, memoryview)


class BodySource(Protocol):
    """A body of known size that is streamed, from its start on each attempt.

    ``size`` is in bytes. ``open`` is called once an attempt and yields exactly ``size`` bytes; where it
    cannot (the file was cut), it raises, which ends the request.
    """

    @property
    def size(self) -> int:
        """The number of bytes that ``open`` yields."""
        ...

    def open(self) -> AsyncIterator[Buffer]:
        """Yield the bytes from the start."""
        ...


Body = Buffer | BodySource


def body_size(body: Body | None) -> int:
    """Return the number of bytes that will be sent."""
    if body is None:
        return 0
    if isinstance(body, memoryview):
        return body.nbytes
    if isinstance(body, (bytes, bytearray)):
        return len(body)
    return body.size
