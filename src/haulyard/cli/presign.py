"""Make a URL, or with --method POST a form, that does one thing to one object without credentials.

The headers and fields that come with a PUT or a POST have to be sent exactly as they are shown. A URL lives
at most 7 days, and not longer than the credentials that signed it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags
from haulyard.cli.places import object_url, s3_url, with_version
from haulyard.cli.properties import put_options
from haulyard.config.kinds import parse_duration, parse_size
from haulyard.errors import ConfigError, HaulError
from haulyard.events import Warned

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from haulyard.cli.context import Context
    from haulyard.models import PutOptions
    from haulyard.url import S3Url

EXAMPLES = (
    'curl "$(haul presign s3://demo/hello.txt --expires-in 10m)"',
    'echo hi | curl -T - "$(haul presign --method PUT s3://demo/new.txt)"',
)

_METHODS = ("GET", "PUT", "HEAD", "DELETE", "POST")


@dataclass(frozen=True, slots=True)
class Options:
    """What the URL may do, and for how many seconds; ``max_size`` in bytes is for forms."""

    url: S3Url
    method: str
    expires: int
    put: PutOptions
    max_size: int


@dataclass(frozen=True, slots=True)
class Presigned:
    """A URL, the headers that go with it, and the fields of a form; ``expires_at`` in POSIX seconds."""

    kind: ClassVar[str] = "presigned"

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    expires_at: float

    def text(self) -> str:
        """Return the URL, and the fields of a form below it."""
        return "\n".join([self.url, *(f"{name}={value}" for name, value in self.form.items())])

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        found: dict[str, object] = {
            "method": self.method,
            "url": self.url,
            "headers": dict(self.headers),
            "expires_at": _date(self.expires_at),
        }
        return {**found, "fields": dict(self.form)} if self.form else found


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("url", metavar="S3URL", help="object; for POST also a prefix/")
    parser.add_argument("--method", default="GET", type=str.upper, choices=_METHODS, help="GET unless given")
    parser.add_argument("--expires-in", default="1h", metavar="TIME", help="seconds, 10m, 1h (default), 7d")
    parser.add_argument("--max-size", default="", metavar="SIZE", help="largest upload that a POST allows")
    flags.add(parser, flags.VERSION, flags.PROPERTIES, flags.CUSTOMER_KEY, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    method = arguments.method
    if method == "POST":
        url = with_version(s3_url(arguments.url, "presign"), arguments.version_id)
    else:
        url = object_url(arguments.url, "presign", arguments.version_id)
    if url.version_id and method in {"PUT", "POST"}:
        raise ConfigError(f"a {method} cannot write a version", hint="leave --version-id out")
    if arguments.max_size and method != "POST":
        raise ConfigError(f"a {method} cannot limit the size", hint="use --method POST")
    put = put_options(arguments)
    if put.encryption is not None and put.encryption.customer_key is not None:
        raise ConfigError(
            "a presigned URL with an SSE-C key would hand the key out", hint="leave --sse-c-key-file out"
        )
    try:
        expires = int(parse_duration(arguments.expires_in))
        max_size = parse_size(arguments.max_size) if arguments.max_size else 0
    except ValueError as error:
        raise ConfigError(
            f"{error} is neither a duration nor a size", hint="write --expires-in 1h, --max-size 10MiB"
        ) from None
    return Options(url, method, expires, put, max_size)


async def run(options: Options, context: Context) -> int:
    """Print the URL."""
    connection = context.connection()
    if not context.settings.endpoint_url:
        await _learn_region(options.url.bucket, context)
    credentials = await connection.credentials.get(time.time())
    signed = await _sign(options, context)
    context.output.result(signed)
    if signed.headers and not context.output.as_json:
        for name, value in signed.headers.items():
            context.output.note(f"send with it: {name}: {value}")
    ends = credentials.expires_at if credentials is not None else None
    if ends is not None and ends < time.time() + options.expires:
        context.emit(
            Warned(
                f"the credentials end at {_date(ends)}, and the URL with them",
                "sign with keys that last longer, or ask for a shorter --expires-in",
            )
        )
    return exits.OK


async def _sign(options: Options, context: Context) -> Presigned:
    from haulyard.stores.presigning import form_fields, presigned_form, presigned_url

    url, put = options.url, options.put
    client = context.connection().client
    if options.method == "POST":
        form = await presigned_form(
            client, url.bucket, url.key, options.expires, fields=form_fields(put), max_size=options.max_size
        )
        return Presigned("POST", form.url, {}, form.fields, form.expires_at)
    signed = await presigned_url(
        client, options.method, url.bucket, url.key, options.expires, put, url.version_id
    )
    return Presigned(signed.method, signed.url, signed.headers, {}, signed.expires_at)


async def _learn_region(bucket: str, context: Context) -> None:
    """Find the bucket's region, without which the signature would not hold; a refusal names it, too."""
    try:
        await context.connection().client.head_bucket(bucket)
    except HaulError as error:
        context.emit(
            Warned(
                f"the bucket's region was not confirmed: {error}", "the URL works if --region is the bucket's"
            )
        )


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
