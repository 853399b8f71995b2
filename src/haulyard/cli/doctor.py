"""Check everything that commands need: credentials, network, bucket, permissions, and what the store honours.

Each check stands for itself and says what to do where it fails. With a bucket, every call that the commands
make is tried on objects in a prefix of its own, which is removed again; --read-only writes nothing. What the
store honours is proved anew and remembered.

The exit code is that of the first check that failed: 2 settings, 3 credentials or permission, 4 no such
bucket, 5 network; 0 where none did.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import flags
from haulyard.cli.findings import Diagnosis, Finding, failure
from haulyard.cli.places import s3_url
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from haulyard.cli.context import Context
    from haulyard.stores.diagnosis import Examination, Where
    from haulyard.url import S3Url

EXAMPLES = ("haul doctor", "haul doctor s3://demo --read-only")


@dataclass(frozen=True, slots=True)
class Options:
    """What is examined; without a URL, what can be without a bucket."""

    url: S3Url | None
    read_only: bool

    @property
    def bucket(self) -> str:
        """The bucket, ``""`` for none."""
        return self.url.bucket if self.url else ""

    @property
    def below(self) -> str:
        """The prefix that is probed, with its slash."""
        key = self.url.key if self.url else ""
        return key if not key or key.endswith("/") else f"{key}/"


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("url", nargs="?", default="", metavar="S3URL", help="bucket, or prefix to work in")
    parser.add_argument("--read-only", action="store_true", help="write nothing, not even probes")
    flags.add(parser, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(s3_url(arguments.url, "doctor") if arguments.url else None, arguments.read_only)


async def run(options: Options, context: Context) -> int:
    """Examine, telling each finding as it comes, and return the exit code."""
    examined = _Examined(options, context)
    await examined.examine()
    diagnosis = Diagnosis(examined.findings)
    context.output.result(diagnosis)
    return diagnosis.exit_code


class _Examined:
    """The course of an examination: what is asked in which order, and what is not asked any more."""

    def __init__(self, options: Options, context: Context) -> None:
        self.findings: list[Finding] = []
        self._options = options
        self._context = context
        self._settings = context.settings

    async def examine(self) -> None:
        # Everything that speaks S3: 60 ms that --help does not pay.
        from haulyard.cli.surroundings import check_caller, check_keys, check_network, check_settings
        from haulyard.stores.diagnosis import Examination, where

        settings, bucket = self._settings, self._options.bucket
        try:
            place: Where = where(settings, bucket)
        except ConfigError as error:
            self._tell([failure("settings", "endpoint", error)])
            return
        self._tell(check_settings(settings, place))
        async with asyncio.TaskGroup() as group:
            network = group.create_task(check_network(settings, place, bucket))
            found, keys = await check_keys(settings)
            self._tell([found])
            self._tell([await check_caller(settings, keys)])
        self._tell(network.result())
        if any(each.is_failure and each.name != "clock" for each in network.result()):
            self._skip("the server cannot be reached", "bucket", "permissions", "capabilities")
            return
        async with Examination(settings, keys, self._context.emit) as examination:
            await self._at_the_store(examination, has_keys=keys is not None)

    async def _at_the_store(self, examination: Examination, *, has_keys: bool) -> None:
        from haulyard.cli.entitlements import check_bucket, check_buckets

        url = self._options.url
        may_ask = has_keys or self._settings.no_sign_request
        if url is None:
            if may_ask:
                self._tell([await check_buckets(examination)])
            else:
                self._skip("there are no credentials", "permissions")
            self._skip("name a bucket to check more: haul doctor s3://bucket", "capabilities")
            return
        bucket = await check_bucket(examination, url)
        self._tell(bucket)
        if bucket[0].is_failure:
            self._skip(f"{url.bucket} cannot be reached", "permissions", "capabilities")
        elif may_ask:
            await self._in_the_bucket(examination, url)
        else:
            self._skip("there are no credentials", "permissions", "capabilities")

    async def _in_the_bucket(self, examination: Examination, url: S3Url) -> None:
        from haulyard.cli.entitlements import can_write, check_capabilities, check_permissions

        below, read_only = self._options.below, self._options.read_only
        permissions = await check_permissions(examination, url, below, read_only=read_only)
        self._tell(permissions)
        if len(permissions) == 1 and permissions[0].is_failure:
            self._skip("no call could be made", "capabilities")
            return
        may_write = not read_only and can_write(permissions)
        self._tell(await check_capabilities(examination, url, below, may_write=may_write))

    def _skip(self, why: str, *sections: str) -> None:
        self._tell([Finding("not checked", "the rest", "skipped", f"{', '.join(sections)}: {why}")])

    def _tell(self, findings: Iterable[Finding]) -> None:
        output = self._context.output
        for finding in findings:
            if not output.as_json and not (self.findings and self.findings[-1].section == finding.section):
                output.lines([f"\n{finding.section}" if self.findings else finding.section])
            self.findings.append(finding)
            output.result(finding)
