"""An S3 server in this process that misbehaves exactly as told.

`FaultServer` listens on a free port of the loopback interface and, left alone, behaves as S3 does
(buckets and objects in memory, path-style addresses, any signature accepted). A `Fault` names the
requests that it hits, by operation, bucket, key and attempt, and what goes wrong with them; every
other request works as usual, so that a test sees one thing fail and everything else succeed:

```python
from haulyard.testing.faults import Fault, FaultServer

with FaultServer(Fault("PutObject", key="a.txt", status=503), buckets=["bucket"]) as server:
    upload("a.txt", endpoint_url=server.url)  # answered SlowDown first, accepted on the second attempt
    assert server.objects["bucket", "a.txt"] == b"..."
    assert [r.attempt for r in server.requests] == [1, 2]
```

A fault can also hold a whole answer (`status`, `headers`, `body`), so that a script of faults with
`attempts="all"` plays any other HTTP API.

Nothing has to be waited for by sleeping: `wait_for` returns when a request has been read, and a
fault with `stall=True` holds it until `release`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from itertools import count
from typing import TYPE_CHECKING, Self

from haulyard.testing._connection import Connection, World
from haulyard.testing._s3_behaviour import S3Behaviour
from haulyard.testing._s3_multipart import MINIMUM_PART_SIZE
from haulyard.testing._s3_objects import StoredObject, new_object
from haulyard.testing._s3_xml import error_xml
from haulyard.testing._script import Fault, RecordedRequest, RequestLog, Script

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from types import TracebackType

#: Turns of the loop between taking a connection and telling of it, and one more.
_TURNS = 4

__all__ = ["Fault", "FaultServer", "Objects", "RecordedRequest", "StoredObject", "error_xml"]


class FaultServer:
    """The scripted server: a context manager that runs in a thread with an event loop of its own.

    It can be used from plain and from async tests alike, whatever loop these run on; only
    `wait_for` blocks, for which async code has `wait_for_async`.

    Args:
        faults: What goes wrong. For each request the first fault that concerns it counts.
        buckets: The buckets that exist from the start.
        authorize: Whether a request is let in; refused ones are answered AccessDenied. By default a
            request must carry an Authorization header or be presigned; signatures are not checked.
        minimum_part_size: Bytes that every part of a multipart upload but the last must have.
            5 MiB as in S3; lower it to test with small parts.
    """

    def __init__(
        self,
        *faults: Fault,
        buckets: Iterable[str] = ("bucket",),
        authorize: Callable[[RecordedRequest], bool] | None = None,
        minimum_part_size: int = MINIMUM_PART_SIZE,
    ) -> None:
        self._behaviour = S3Behaviour(minimum_part_size)
        for bucket in buckets:
            self._behaviour.create_bucket(bucket)
        self._log = RequestLog()
        self._world = World(Script(faults), self._behaviour, self._log, authorize or is_signed)
        self._connections: set[asyncio.Task[None]] = set()
        self._numbers = count(1)
        self._errors: list[Exception] = []
        self._started = threading.Event()
        self._listener: socket.socket
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._errors and error is None:
            raise ExceptionGroup("the scripted server itself failed", self._errors)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The endpoint: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Every request so far, in the order in which they were read."""
        return self._log.snapshot()

    @property
    def objects(self) -> Objects:
        """The stored objects, to be read and changed: `server.objects["bucket", "key"] = b"content"`."""
        return Objects(self._behaviour)

    @property
    def uploads(self) -> tuple[tuple[str, str, str], ...]:
        """Bucket, key and upload id of every multipart upload neither completed nor aborted."""
        with self._behaviour.lock:
            uploads = self._behaviour.uploads.in_progress()
        return tuple((upload.bucket, upload.key, upload_id) for upload_id, upload in uploads.items())

    @property
    def stalled(self) -> tuple[RecordedRequest, ...]:
        """The requests that wait for `release`, oldest first."""
        return self._world.exchanges.stalled()

    def script(self, *faults: Fault) -> None:
        """Replace all faults, and count attempts from 1 again."""
        self._world.script = Script(faults)

    def release(self, request: RecordedRequest | None = None) -> None:
        """Let one stalled request go on, or all that are stalled now; later ones stall again."""
        self._loop.call_soon_threadsafe(self._world.exchanges.release, request)

    def wait_for(
        self, predicate: Callable[[RecordedRequest], bool], timeout: float = 10.0, *, count: int = 1
    ) -> RecordedRequest:
        """Wait until a request that satisfies `predicate` has been read, and return it.

        Requests from before the call count. A request that stalls is stalled by then.

        Args:
            predicate: Says which request is meant.
            timeout: Seconds to wait at most.
            count: Wait for that many such requests and return the last of them.

        Raises:
            TimeoutError: If there was none; the message names those that came.
        """
        return self._log.wait_for(predicate, timeout, count)

    async def wait_for_async(
        self,
        predicate: Callable[[RecordedRequest], bool],
        timeout: float = 10.0,  # noqa: ASYNC109 - the same face as wait_for, whose error names what came
        *,
        count: int = 1,
    ) -> RecordedRequest:
        """Do as `wait_for`, without blocking the caller's event loop."""
        return await asyncio.to_thread(self._log.wait_for, predicate, timeout, count)

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until every request read so far has been answered or given up, stalled ones aside.

        After a `release` this tells when what was released has been carried out.

        Raises:
            TimeoutError: If some are still under way then, for instance as nobody reads their answer.
        """
        self._settling().result(timeout)

    async def settle_async(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the same face as settle
        """Do as `settle`, without blocking the caller's event loop."""
        async with asyncio.timeout(timeout):
            await asyncio.wrap_future(self._settling())

    def _settling(self) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(self._world.exchanges.settle(), self._loop)

    def _run(self) -> None:
        # A loop of its own kind, so that the server is the same under uvloop and plain asyncio.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=1 << 18)
        self._started.set()
        await self._stop.wait()
        # A connection that was taken off the listener and not yet told of would be lost without being closed:
        # `asyncio.Server._attach` refuses it once the server is closed.
        self._loop.remove_reader(self._listener)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = Connection(next(self._numbers), reader, writer, self._world)
        task = asyncio.create_task(connection.serve())
        self._connections.add(task)
        task.add_done_callback(self._ended)
        # Also where the server ends before the task has begun.
        task.add_done_callback(lambda _task: writer.transport.abort())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._errors.append(error)


class Objects:
    """The stored objects by bucket and key. Setting one creates its bucket where it is missing."""

    def __init__(self, behaviour: S3Behaviour) -> None:
        self._behaviour = behaviour

    def __getitem__(self, name: tuple[str, str]) -> bytes:
        return self.stored(*name).body

    def __setitem__(self, name: tuple[str, str], body: bytes) -> None:
        bucket, key = name
        with self._behaviour.lock:
            self._behaviour.create_bucket(bucket)
            self._behaviour.buckets[bucket][key] = new_object(body, {})

    def __delitem__(self, name: tuple[str, str]) -> None:
        bucket, key = name
        with self._behaviour.lock:
            del self._behaviour.buckets[bucket][key]

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        with self._behaviour.lock:
            names = [(bucket, key) for bucket, objects in self._behaviour.buckets.items() for key in objects]
        return iter(sorted(names))

    def __len__(self) -> int:
        with self._behaviour.lock:
            return sum(map(len, self._behaviour.buckets.values()))

    def stored(self, bucket: str, key: str) -> StoredObject:
        """Return all that is kept of an object: content, headers, ETag, checksums, tags, time.

        Raises:
            KeyError: If it is not there.
        """
        with self._behaviour.lock:
            return self._behaviour.buckets[bucket][key]


def is_signed(request: RecordedRequest) -> bool:
    """Whether a request carries a signature, right or wrong: in its headers or in its URL."""
    return "authorization" in request.headers or "X-Amz-Signature" in request.parameters
