"""The chapter of `haul demo` on the filesystem: a file is streamed, claimed by one of many, and shared."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from haulyard.checksums import hasher
from haulyard.cli.playbill import Step
from haulyard.client.arguments import SettingOptions
from haulyard.errors import PreconditionFailed, TransferError, Unsupported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.cli.demo_telling import Telling
    from haulyard.fs import S3Provider, S3ProviderConfig

#: Who want to create one file at the same moment.
_WRITERS: Final = 5
_PIECE: Final = 1024**2


class Filesystem:
    """Its steps, told by ``telling``; below ``url``, which ends in a slash."""

    def __init__(self, telling: Telling, url: str) -> None:
        self._telling = telling
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}files"

    async def perform(self, large: str) -> str:
        """Play it with the local file ``large``, and return the verdict.

        Raises:
            TransferError: What was read is not what was written, or not one of the writers won.
        """
        from haulyard.fs import S3Provider

        self._telling.say(
            f'>>> files = S3Provider(S3ProviderConfig("{self._bucket}", prefix="{self._prefix}"))'
        )
        async with S3Provider(self._config()) as files:
            name = os.path.basename(large)
            digest = await self._stream(files, large, name)
            won = await self._claim(files)
            await self._share(files, name, digest)
        return f"A filesystem streamed a file both ways, {won}, and gave it to a stranger by a signed URL."

    async def _stream(self, files: S3Provider, large: str, name: str) -> bytes:
        self._telling.say(f'>>> await files.stream_write("{name}", pieces)')
        self._telling.say(f'>>> async for piece in files.stream_read("{name}"): ...')
        written, read = hasher("SHA256"), hasher("SHA256")

        async def pieces() -> AsyncIterator[bytes]:
            with open(large, "rb") as file:  # noqa: ASYNC230 -- a file of this machine, a piece at a time
                while piece := file.read(_PIECE):
                    written.update(piece)
                    yield piece

        started = time.monotonic()
        node = await files.stream_write(name, pieces())
        async for piece in files.stream_read(name):
            read.update(piece)
        _demand(written.digest() == read.digest(), "what was streamed out is not what was streamed in")
        self._show("stream both ways", 1, 2 * node.size, started, "written and read in pieces, the same")
        return read.digest()

    async def _claim(self, files: S3Provider) -> str:
        """Let many create one file at the same time; return what a verdict says of it."""
        self._telling.say(
            f'>>> await files.write_file("claim", mine, if_absent=True)  # {_WRITERS} at the same time'
        )
        started = time.monotonic()
        claims = (
            files.write_file("claim", b"%d" % number, if_absent=True, metadata={"by": str(number)})
            for number in range(_WRITERS)
        )
        found = await asyncio.gather(*claims, return_exceptions=True)
        if refused := next((each for each in found if isinstance(each, Unsupported)), None):
            self._show("claim a file", 0, None, started, "refused: this endpoint ignores conditions")
            return f"refused to let one of {_WRITERS} writers win ({refused})"
        won = [number for number, each in enumerate(found) if not isinstance(each, BaseException)]
        told = [each for each in found if isinstance(each, PreconditionFailed)]
        _demand(len(won) == 1 and len(told) == _WRITERS - 1, f"{len(won)} of {_WRITERS} writers won")
        _demand(await files.read_file("claim") == b"%d" % won[0], "the file is not of the writer that won")
        self._show("claim a file", 1, None, started, f"one of {_WRITERS} writers won, the others were told")
        return f"let one of {_WRITERS} writers win"

    async def _share(self, files: S3Provider, name: str, digest: bytes) -> None:
        self._telling.say(f'>>> (await files.generate_presigned_url("{name}", expires_in=60)).url')
        started = time.monotonic()
        signed = await files.generate_presigned_url(name, expires_in=60)
        state, size = hasher("SHA256"), 0
        async for piece in self._fetched(signed.url):
            state.update(piece)
            size += len(piece)
        _demand(state.digest() == digest, "what the signed URL gave is not the file")
        self._show("read by a signed URL", 1, size, started, "read without credentials, the same")

    async def _fetched(self, url: str) -> AsyncIterator[bytes]:
        from haulyard.http import HttpClient, HttpConfig

        settings = self._telling.stage.inline.inside().settings
        parts = urlsplit(url)
        config = HttpConfig(ca_bundle=settings.ca_bundle, verify=settings.verify_ssl)
        origin = f"{parts.scheme}://{parts.netloc}"
        async with (
            HttpClient(config) as client,
            await client.send("GET", origin, parts.path, parts.query, {}) as answer,
        ):
            async for chunk in answer.chunks():
                yield bytes(chunk)

    def _config(self) -> S3ProviderConfig:
        from haulyard.fs import S3ProviderConfig

        options = options_of(self._telling)
        for ours, theirs in (("access_key", "key"), ("secret_key", "secret"), ("session_token", "token")):
            if value := options.pop(theirs, None):
                options[ours] = value
        named = {field.name for field in fields(S3ProviderConfig)}
        settings = {name: options.pop(name) for name in options.keys() - named}
        # What is 0 or False is what nobody asked for.
        asked = {name: value for name, value in options.items() if value}
        return S3ProviderConfig(self._bucket, self._prefix, settings=settings, **asked)

    def _show(self, name: str, objects: int, size: int | None, started: float, remark: str) -> None:
        self._telling.show(Step(name, objects, size, time.monotonic() - started, remark=remark))


def options_of(telling: Telling) -> dict[str, Any]:
    """Return the settings by which others than commands get to the stage, and its ``key secret token``."""
    settings = telling.stage.inline.inside().settings
    given = {name: getattr(settings, name) for name in SettingOptions.__annotations__}
    options: dict[str, Any] = {name: value for name, value in given.items() if value not in {"", None}}
    environ = settings.environment
    if not settings.profile_chosen and "AWS_ACCESS_KEY_ID" in environ:
        options["key"] = environ["AWS_ACCESS_KEY_ID"]
        options["secret"] = environ.get("AWS_SECRET_ACCESS_KEY")
        options["token"] = environ.get("AWS_SESSION_TOKEN")
    return options


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 -- reads as an assertion
    if not holds:
        raise TransferError(f"the filesystem: {otherwise}")
