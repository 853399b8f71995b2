"""Show everything that a store knows of an object, without reading it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import flags
from haulyard.cli.formats import human_size, local_time
from haulyard.cli.places import object_url
from haulyard.cli.properties import customer_encryption
from haulyard.cli.several import for_each
from haulyard.errors import ConfigError, NotFound
from haulyard.models import GetOptions
from haulyard.observe.lines import escape
from haulyard.transfer.sources import explain_missing

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.models import Encryption, ObjectAcl, ObjectHead
    from haulyard.url import S3Url

EXAMPLES = ("haul head s3://demo/hello.txt", "haul head s3://demo/hello.txt --tags --json")

# The order in which they are shown; what is empty is left out.
_TEXT_FIELDS = (
    "etag",
    "version_id",
    "storage_class",
    "content_type",
    "content_encoding",
    "content_disposition",
    "content_language",
    "cache_control",
    "expires",
    "encryption",
    "kms_key_id",
    "restore",
    "archive_status",
    "parts_count",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which objects, and what beyond the headers."""

    urls: tuple[S3Url, ...]
    tags: bool
    acl: bool
    encryption: Encryption | None


@dataclass(frozen=True, slots=True)
class Description:
    """One object, described; ``tags`` and ``acl`` are None where they were not asked for."""

    kind: ClassVar[str] = "object"

    url: str
    head: ObjectHead
    tags: dict[str, str] | None
    acl: ObjectAcl | None

    def text(self) -> str:
        """Return one line for each thing known."""
        head = self.head
        size = f"{head.size} ({human_size(head.size)})" if head.size >= 1024 else str(head.size)  # noqa: PLR2004 -- one KiB
        rows = [("url", self.url), ("size", size), ("last_modified", local_time(head.last_modified))]
        rows += [(name, str(getattr(head, name))) for name in _TEXT_FIELDS if getattr(head, name)]
        rows += [(f"checksum {each.algorithm}", f"{each.value} ({each.kind})") for each in head.checksums]
        rows += [(f"metadata {name}", value) for name, value in head.metadata.items()]
        if self.tags is None:
            rows += [("tags", f"{head.tag_count} (--tags shows them)")] if head.tag_count else []
        else:
            rows += [(f"tag {name}", value) for name, value in self.tags.items()]
        if self.acl is not None:
            rows.append(("owner", self.acl.owner))
            rows += [(f"grant {grant.permission}", grant.grantee) for grant in self.acl.grants]
        width = max(len(name) for name, _ in rows) + 2
        return "\n".join(f"{escape(name):{width}}{escape(value)}" for name, value in rows)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        found = {name: value for name, value in self.head._asdict().items() if name != "headers"}
        found["checksums"] = [each._asdict() for each in self.head.checksums] or None
        found["metadata"] = dict(self.head.metadata) or None
        if self.tags is not None:
            found["tags"] = self.tags
        if self.acl is not None:
            grants = [grant._asdict() for grant in self.acl.grants]
            found["acl"] = {"owner": self.acl.owner, "grants": grants}
        return {"url": self.url, **found}


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="S3URL", help="object")
    parser.add_argument("--tags", action="store_true", help="show the tags, too")
    parser.add_argument("--show-acl", action="store_true", help="show owner and grants, too")
    flags.add(parser, flags.VERSION, flags.CUSTOMER_KEY, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    if arguments.version_id and len(arguments.urls) > 1:
        raise ConfigError("--version-id is for a single object", hint="name one object")
    urls = tuple(object_url(text, "head", arguments.version_id) for text in arguments.urls)
    return Options(urls, arguments.tags, arguments.show_acl, customer_encryption(arguments.sse_c_key_file))


async def run(options: Options, context: Context) -> int:
    """Describe the objects."""
    return await for_each(options.urls, partial(_describe, options), context)


async def _describe(options: Options, url: S3Url, context: Context) -> None:
    store = context.bucket(url)
    asked = GetOptions(version_id=url.version_id, encryption=options.encryption)
    try:
        head = await store.head(url.key, asked)
    except NotFound as error:
        raise await explain_missing(store, url.key, error) from error
    tags = await store.get_tags(url.key, url.version_id) if options.tags else None
    acl = await store.get_acl(url.key, url.version_id) if options.acl else None
    context.output.result(Description(str(url), head, tags, acl))
