"""Where `haul demo` plays: an embedded server made for it, or a prefix of its own in somebody's bucket.

Both leave nothing behind, whatever happens.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from haulyard.cli.detached import detached
from haulyard.cli.inline import Inline
from haulyard.config import SETTINGS, resolve
from haulyard.errors import HaulError, TransferError
from haulyard.events import Warned
from haulyard.models import DeleteItem
from haulyard.transfer.resume import noted_parts
from haulyard.url import S3Url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from haulyard.cli.context import Context
    from haulyard.config import Settings
    from haulyard.stores.base import Store

#: The bucket that is made on the embedded server.
BUCKET: Final = "haul-demo"

#: Seconds between two looks at what is to be killed, and how long it may take to get as far as wanted.
_LOOK: Final = 0.05
_KILL_PATIENCE: Final = 60.0
#: Variables that a child needs to start at all.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Stage:
    """A place to write to: ``url`` ends in a slash; ``environ`` and ``flags`` lead other processes there.

    Jobs are kept in ``job_directory``.
    """

    inline: Inline
    url: str
    described: str
    environ: Mapping[str, str]
    job_directory: str
    flags: tuple[str, ...] = ()

    def store(self) -> Store:
        """Return the bucket."""
        return self.inline.inside().bucket(self._parsed)

    def key(self, name: str) -> str:
        """Return the full key of what is ``name`` below the URL."""
        return self._parsed.key + name

    async def kill_when(
        self, words: tuple[str, ...], reached: Callable[[], Awaitable[int]], wanted: int
    ) -> int:
        """Run a command line as a process of its own and kill it (SIGKILL) once it has ``reached`` a number.

        Returns the number that was reached by then; 0 where the command was quicker than the kill, which is
        known only once it has ended.

        Raises:
            TransferError: It failed, or did not get as far.
        """
        command = f"haul {' '.join(words)}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "haulyard",
            *self.flags,
            *words,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        there = 0
        try:
            async with asyncio.timeout(_KILL_PATIENCE):
                while process.returncode is None:
                    there = await reached()
                    if there >= wanted:
                        break
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise TransferError(f"{command} did not come half-way in {_KILL_PATIENCE:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        if process.returncode == -signal.SIGKILL and there >= wanted:
            return there
        if process.returncode:
            raise TransferError(f"{command} ended with code {process.returncode}")
        return 0

    async def parts(self, key: str) -> int:
        """Return how many parts of an upload of ``key`` will not be sent again, wherever it is killed.

        Those are the ones that it has written down. The store may have one more, whose sender has not heard
        of it yet.
        """
        inside = self.inline.inside()
        return noted_parts(inside.settings.state_dir, inside.bucket(self._parsed).identity, key)

    async def sweep(self) -> None:
        """Remove everything below the URL: objects, versions and unfinished uploads."""
        store, prefix = self.store(), self._parsed.key
        # Versions go too, where they are kept and may be removed; not every store knows the call.
        with suppress(HaulError):
            async for versions in store.list_versions(prefix):
                await store.delete_many([DeleteItem(each.key, each.version_id) for each in versions.versions])
        async for page in store.list(prefix):
            await store.delete_many([DeleteItem(info.key) for info in page.objects])
        async for upload in store.list_uploads(prefix):
            await store.abort_multipart(upload.key, upload.upload_id)

    @property
    def _parsed(self) -> S3Url:
        bucket, _, key = self.url.removeprefix("s3://").partition("/")
        return S3Url(bucket, key)


@asynccontextmanager
async def embedded(context: Context, directory: str) -> AsyncIterator[Stage]:
    """Start a server in ``directory``, which stops at the end; no setting of the user's applies there."""
    from haulyard.local import EmbeddedStore

    store = EmbeddedStore(os.path.join(directory, "server"))
    try:
        status = await detached(lambda: store.start(attached=True))
        environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environ |= store.environment()
        nowhere = os.path.join(directory, "nowhere")
        environ |= {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
        environ["HAUL_STATE_DIR"] = os.path.join(directory, "state")
        environ["HAUL_JOB_DIR"] = jobs = os.path.join(directory, "jobs")

        def settings(given: Mapping[str, object]) -> Settings:
            return resolve(given, environ, directory)

        described = f"SeaweedFS at {status.endpoint_url}"
        yield Stage(Inline(context, settings), f"s3://{BUCKET}/", described, environ, jobs)
    finally:
        # Blocking, as nothing else is under way: no further signal cuts it short.
        store.stop(grace=0)


@asynccontextmanager
async def in_bucket(context: Context, url: S3Url, directory: str) -> AsyncIterator[Stage]:
    """Work in a new prefix below ``url``, which is emptied at the end; jobs are kept in ``directory``."""
    below = url.key if not url.key or url.key.endswith("/") else f"{url.key}/"
    own = f"s3://{url.bucket}/{below}haul-demo-{secrets.token_hex(4)}/"
    jobs = os.path.join(directory, "jobs")

    def settings(given: Mapping[str, object]) -> Settings:
        return replace(context.resolve(given), job_dir=jobs)

    environ = {**context.settings.environment, "HAUL_JOB_DIR": jobs}
    flags = tuple(_flags_given(context.settings))
    stage = Stage(Inline(context, settings), own, own, environ, jobs, flags)
    try:
        yield stage
    finally:
        try:
            await stage.sweep()
        except HaulError as error:
            hint = f"remove it yourself: haul rm -r --all-versions {own}"
            context.emit(Warned(f"{own} could not be emptied: {error}", hint))


def _flags_given(settings: Settings) -> list[str]:
    """Return the flags that settings came from, for another process."""
    words = []
    for name, setting in SETTINGS.items():
        if settings.origins.get(name) == setting.flag:
            value = getattr(settings, name)
            words += [setting.flag] if isinstance(value, bool) else [setting.flag, str(value)]
    return words
