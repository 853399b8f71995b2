"""Bodies on their way into a store that keeps them itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import IntegrityError, SourceChanged
from haulyard.models.body import BUFFERS, body_size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import Checksum
    from haulyard.models.body import Body

#: Bytes handed on at a time, so that no single call blocks for long.
CHUNK: Final = 1024 * 1024


async def chunks_of(body: Body) -> AsyncIterator[memoryview]:
    """Yield the body in pieces of at most 1 MiB.

    Raises:
        SourceChanged: if there is less or more of it than it said.
    """
    left = body_size(body)
    if isinstance(body, BUFFERS):
        view = memoryview(body).cast("B")
        for start in range(0, left, CHUNK):
            yield view[start : start + CHUNK]
        return
    async for chunk in body.open():
        view = memoryview(chunk).cast("B")
        left -= len(view)
        if left < 0:
            break
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]
    if left:
        raise SourceChanged(
            f"the source is {'shorter' if left > 0 else 'longer'} than the {body_size(body)} bytes it had",
            operation="put",
            hint="it changed while it was read; run the command again",
        )


def check_content(expected: Checksum | None, actual: Checksum | None, *, store: str, key: str) -> None:
    """Raise IntegrityError if both checksums are there and the content is not what was promised."""
    if expected and actual and expected.kind == actual.kind and expected.value != actual.value:
        raise IntegrityError(
            f"{key}: the content has {actual.algorithm} {actual.value}, not {expected.value}",
            store=store,
            operation="put",
            key=key,
            code="BadDigest",
            hint="the content was damaged on its way; run the command again",
        )
