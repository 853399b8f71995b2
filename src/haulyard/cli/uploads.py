"""List the multipart uploads that were neither completed nor aborted, or abort them.

Their parts are billed until then. An interrupted `haul cp` leaves one on purpose, and continues it when it
is run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags
from haulyard.cli.formats import local_time
from haulyard.cli.places import s3_url
from haulyard.config.kinds import parse_duration
from haulyard.errors import ConfigError, NotFound
from haulyard.events import TransferDone
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.models import UploadInfo
    from haulyard.url import S3Url

EXAMPLES = ("haul uploads s3://demo", "haul uploads abort s3://demo --older-than 7d --dry-run")


@dataclass(frozen=True, slots=True)
class Options:
    """Which uploads, and whether they are to be aborted; ``older_than`` in seconds, None for any age."""

    url: S3Url
    abort: bool
    upload_id: str
    older_than: float | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """One unfinished upload."""

    kind: ClassVar[str] = "upload"

    bucket: str
    info: UploadInfo

    def text(self) -> str:
        """Return a line: when it began, its id, its object."""
        url = escape(f"s3://{self.bucket}/{self.info.key}")
        return f"{local_time(self.info.initiated)} {self.info.upload_id} {url}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {"url": f"s3://{self.bucket}/{self.info.key}", **self.info._asdict()}


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="+", metavar="[abort] S3URL", help="bucket, prefix or object")
    parser.add_argument("--upload-id", default="", metavar="ID", help="this one")
    parser.add_argument("--older-than", default="", metavar="AGE", help="those begun so long ago: 12h, 7d")
    flags.add(parser, flags.DRY_RUN, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    words = list(arguments.words)
    abort = words[0] == "abort"
    if abort:
        del words[0]
    if len(words) != 1:
        raise ConfigError("uploads takes one URL", hint="write haul uploads [abort] s3://bucket/prefix")
    if abort and not (arguments.upload_id or arguments.older_than):
        raise ConfigError(
            "which uploads are to be aborted?",
            hint="give --upload-id ID, or --older-than 7d; an upload under way would fail",
        )
    older_than = None
    if arguments.older_than:
        try:
            older_than = parse_duration(arguments.older_than)
        except ValueError:
            raise ConfigError(
                f"--older-than {arguments.older_than!r} is not a duration", hint="write 12h or 7d"
            ) from None
    return Options(s3_url(words[0], "uploads"), abort, arguments.upload_id, older_than, arguments.dry_run)


async def run(options: Options, context: Context) -> int:
    """List or abort."""
    store = context.bucket(options.url)
    found = False
    async for upload in _selected(store.list_uploads(options.url.key), options):
        found = True
        if not options.abort:
            context.output.result(Upload(options.url.bucket, upload))
            continue
        reason = "dry run" if options.dry_run else ""
        if not options.dry_run:
            await store.abort_multipart(upload.key, upload.upload_id)
        url = f"s3://{options.url.bucket}/{upload.key}"
        context.output.transfer(TransferDone("abort", f"{url} {upload.upload_id}", "", 0, reason=reason))
    if options.upload_id and not found:
        raise NotFound(
            f"there is no upload {options.upload_id} at {options.url}",
            operation="list_uploads",
            bucket=options.url.bucket,
            key=options.url.key,
            hint="haul uploads lists them; it may have been completed or aborted",
        )
    return exits.OK


async def _selected(uploads: AsyncIterator[UploadInfo], options: Options) -> AsyncIterator[UploadInfo]:
    before = None
    if options.older_than is not None:
        before = datetime.now(UTC) - timedelta(seconds=options.older_than)
    async for upload in uploads:
        if options.upload_id and upload.upload_id != options.upload_id:
            continue
        if before is None or upload.initiated <= before:
            yield upload
