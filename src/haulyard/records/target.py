"""Where calls go: an HTTP API, or an async function that takes its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

import orjson

from haulyard._version import __version__
from haulyard.errors import ConfigError, RecordError, TransportError
from haulyard.http import HttpClient, HttpConfig
from haulyard.records.secrets import check_address, check_url, filled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from haulyard.config import Settings

#: Bytes of an answer that are read by default; a longer one is no reason to fill the memory.
LONGEST_ANSWER: Final = 16 * 1024**2
#: Seconds; a call that was cancelled is not worth waiting for, since its key tells the API that it was there.
_SETTLE: Final = 0.05
_SAFE: Final = "/:@!$&'()*+,;=-._~%"


class Answer(NamedTuple):
    """What came back: names of ``headers`` are lower case.

    ``each`` has what is kept of it for each record of the call, in their order, where a target can tell that
    apart; else the whole ``body`` is kept for each.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    each: Sequence[bytes] = ()


class Target(Protocol):
    """Takes calls."""

    @property
    def name(self) -> str:
        """What it is called in messages; no secret."""
        ...

    async def call(self, body: bytes, key: str) -> Answer:
        """Make one call; ``key`` is the same on each try of it.

        Raises:
            TransportError: No answer came.
            RecordError: It was refused for good, whatever the status.
            ApiDenied, ApiUnavailable: No call can succeed; the run ends with it.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Api:
    """An HTTP API: ``url`` and ``headers`` may hold ``${VARIABLES}``; ``timeout`` of a call in seconds.

    An answer of more than ``longest`` bytes is an error.
    """

    url: str
    method: str = "POST"
    headers: Sequence[tuple[str, str]] = ()
    media_type: str = "application/json"
    timeout: float = 30.0
    longest: int = LONGEST_ANSWER


class HttpTarget:
    """Calls an HTTP API over kept connections, in HTTP/2 where the server offers it over TLS.

    Raises:
        ConfigError: The address is none, or a variable is not set.
    """

    def __init__(self, api: Api, settings: Settings, environ: Mapping[str, str]) -> None:
        check_address(api.url)
        url = urlsplit(filled(api.url, environ))
        check_url(url.geturl())
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ConfigError("the API's address is no http:// or https:// URL", hint="write --to https://…")
        self._origin = f"{url.scheme}://{url.netloc}"
        self._path = quote(url.path or "/", safe=_SAFE)
        self._query = url.query
        self._method = api.method
        self._longest = api.longest
        # As it was given: what its variables hold is nobody's business.
        self.name = api.url.partition("?")[0]
        self._headers = {"content-type": api.media_type, "accept": "application/json, */*;q=0.5"}
        self._headers |= {name.lower(): filled(value, environ) for name, value in api.headers}
        self._client = HttpClient(
            HttpConfig(
                user_agent=f"haulyard/{__version__}",
                ca_bundle=settings.ca_bundle,
                verify=settings.verify_ssl,
                connect_timeout=min(10.0, api.timeout),
                read_timeout=api.timeout,
                work_timeout=api.timeout,
                settle_timeout=_SETTLE,
                http2=True,
            )
        )

    async def call(self, body: bytes, key: str) -> Answer:
        """Make one call."""
        response = await self._client.send(
            self._method,
            self._origin,
            self._path,
            self._query,
            {**self._headers, "idempotency-key": key},
            body,
        )
        # The head is needed after the body: reading it closes the answer.
        status, headers = response.status, response.headers
        return Answer(status, headers, await response.read(self._longest))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class FunctionTarget:
    """Calls an async function with the record, or with a list of them where a call carries several.

    What it returns is the answer. `RecordError` refuses the record for good, anything else that it raises is
    tried again.
    """

    def __init__(self, function: Callable[[Any], Awaitable[Any]], name: str = "") -> None:
        self._function = function
        self.name = name or getattr(function, "__qualname__", "function")

    async def call(self, body: bytes, key: str) -> Answer:
        """Call it."""
        del key
        record = orjson.loads(body)
        try:
            result = await self._function(record)
        except (RecordError, TransportError):
            raise
        except Exception as error:
            raise TransportError(f"{type(error).__name__}: {error}", kind="request") from error
        return Answer(200, {}, _encoded(result))

    async def close(self) -> None:
        """Do nothing."""


def _encoded(result: object) -> bytes:
    if result is None:
        return b""
    if isinstance(result, bytes):
        return result
    try:
        return orjson.dumps(result, default=str)
    except orjson.JSONEncodeError:
        return json.dumps(str(result)).encode()
