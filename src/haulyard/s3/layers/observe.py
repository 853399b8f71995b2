"""The outermost layer: one event for each request, when its answer has ended or its error is final."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from haulyard.errors import S3Error
from haulyard.events import RequestDone, ignore
from haulyard.models.body import body_size

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

    Inner = Callable[[Request], Awaitable[HttpAnswer]]


def observe(
    inner: Inner,
    emit: Emit,
    *,
    wanted: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = time.monotonic,
) -> Inner:
    """Return ``inner`` with an event a request, while they are ``wanted``; as it is where nobody listens."""
    if emit is ignore:
        return inner

    async def send(request: Request) -> HttpAnswer:
        if not wanted():
            return await inner(request)
        started = clock()

        def done(status: int, attempts: int, received: int, request_id: str, code: str = "") -> None:
            emit(
                RequestDone(
                    request.operation,
                    request.bucket,
                    request.key,
                    status,
                    attempts,
                    clock() - started,
                    body_size(request.body),
                    received,
                    request_id,
                    code,
                )
            )

        try:
            answer = await inner(request)
        except S3Error as error:
            done(error.status, error.attempts, 0, error.request_id, error.code)
            raise
        answer.when_closed(
            lambda received: done(
                answer.status, answer.attempts, received, answer.headers.get("x-amz-request-id", "")
            )
        )
        return answer

    return send
