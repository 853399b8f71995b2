"""`Processor`: what `AsyncProcessor` does, for programs without an event loop.

Every method is one call into the client's loop; what it does, raises and returns is said there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from haulyard.client.client import inside
from haulyard.records.async_processor import AsyncProcessor
from haulyard.records.health import STREAK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.client.arguments import StrPath
    from haulyard.client.client import Client
    from haulyard.events import Emit
    from haulyard.records.async_processor import Function, ProcessorOptions
    from haulyard.records.preview import Preview
    from haulyard.records.status import RecordsStatus


class Processor:
    """One job that sends the records of objects to an HTTP API; see `AsyncProcessor`.

    Args:
        client: As in `AsyncProcessor`, a `Client` here.
        source: As in `AsyncProcessor`.
        to: As in `AsyncProcessor`; an async function runs in the client's loop, and must not call the client.
        options: As in `AsyncProcessor`.

    Raises:
        ConfigError: Arguments make no sense.
        JobError: There is another job of that name.

    Example:
        >>> with Client() as client:
        ...     job = Processor(client, "s3://b/in.csv", "https://api.example.com/people", name="people")
        ...     print(job.run(limits=[(10, 60.0)]).text())
    """

    def __init__(
        self, client: Client, source: StrPath, to: str | Function, **options: Unpack[ProcessorOptions]
    ) -> None:
        driven, self._portal = inside(client)
        self._processor = AsyncProcessor(driven, source, to, **options)

    @property
    def name(self) -> str:
        """What the job is called; `haul status` and the others take it."""
        return self._processor.name

    @property
    def path(self) -> str:
        """The directory of the job."""
        return self._processor.path

    def run(
        self,
        *,
        limits: Sequence[tuple[int, float]] = ((5000, 1.0),),
        max_in_flight: int = 0,
        limit: int = 0,
        timeout: float = 30.0,
        attempts: int = 10,
        patience: float = 60.0,
        stop_after: int = STREAK,
        dead_letters_to: StrPath = "",
        check: bool = True,
        on_event: Emit | None = None,
    ) -> RecordsStatus:
        """Send what is left to be sent; as `AsyncProcessor.run`."""
        return self._portal.call(
            self._processor.run,
            limits=limits,
            max_in_flight=max_in_flight,
            limit=limit,
            timeout=timeout,
            attempts=attempts,
            patience=patience,
            stop_after=stop_after,
            dead_letters_to=dead_letters_to,
            check=check,
            on_event=on_event,
        )

    def retry_failed(
        self,
        *,
        limits: Sequence[tuple[int, float]] = ((5000, 1.0),),
        max_in_flight: int = 0,
        timeout: float = 30.0,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> RecordsStatus:
        """Send the dead letters again; as `AsyncProcessor.retry_failed`."""
        return self._portal.call(
            self._processor.retry_failed,
            limits=limits,
            max_in_flight=max_in_flight,
            timeout=timeout,
            check=check,
            on_event=on_event,
        )

    def preview(self, *, limit: int = 0) -> Preview:
        """Return what would be sent; as `AsyncProcessor.preview`."""
        return self._portal.call(self._processor.preview, limit=limit)

    def status(self) -> RecordsStatus:
        """Return how the job stands; as `AsyncProcessor.status`."""
        return self._portal.call(self._processor.status)

    def dead_letters(self) -> Iterator[dict[str, Any]]:
        """Yield the records that were not delivered; as `AsyncProcessor.dead_letters`."""
        return self._portal.iterate(self._processor.dead_letters())
