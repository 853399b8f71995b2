"""The flags that commands share, each declared once; a command picks the groups that mean something to it.

A flag that is a setting takes its name and help from `haulyard.config` and is handed to ``resolve`` as the
text that was given. All others land in the command's namespace; `haulyard.cli.properties` reads those that
describe objects.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from haulyard.config import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Flag(NamedTuple):
    """One flag: its names, what it takes (``metavar``, empty for a switch) and its help.

    ``repeat`` collects the values of a flag that may be given several times.
    """

    names: tuple[str, ...]
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    repeat: bool = False


class Group(NamedTuple):
    """Flags under one heading of the help: ``settings`` by name, then others."""

    title: str
    settings: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()


CONNECTION = Group(
    "connection",
    (
        "endpoint_url",
        "profile",
        "region",
        "no_sign_request",
        "request_payer",
        "expected_bucket_owner",
        "ca_bundle",
        "verify_ssl",
        "addressing",
        "use_dualstack",
        "use_fips",
        "accelerate",
        "concurrency",
        "retries",
        "retry_base_delay",
    ),
)
#: Of a job that was planned: what it is about goes without saying, and whether it is accelerated too.
JOB_CONNECTION = Group(CONNECTION.title, tuple(name for name in CONNECTION.settings if name != "accelerate"))
SOURCE = Group(
    "the source, where it is another store", ("source_endpoint_url", "source_profile", "source_region")
)
TRANSFER = Group("transfer", ("part_size", "bwlimit", "checksum_algorithm"))
OUTPUT = Group("output", ("json", "log_level", "log_file"))
PROGRESS = Group("progress", ("progress",))
JOBS = Group("the job", ("job_dir",))
DRY_RUN = Group("", (), (Flag(("-n", "--dry-run"), "say what would be done, and do nothing"),))

FILTERS = Group(
    "selection",
    (),
    (
        Flag(("--include",), "take what matches (the last filter that matches wins)", "PATTERN"),
        Flag(("--exclude",), "leave out what matches", "PATTERN"),
    ),
)
MANIFEST = Group(
    "selection",
    (),
    (Flag(("--manifest",), "keys one a line, CSV (bucket,key[,version]) or S3 Inventory", "FILE"),),
)
RAW = Group("selection", (), (Flag(("--raw",), "take * and ? as characters of the key"),))
VERSION = Group("selection", (), (Flag(("--version-id",), "the version to use", "ID"),))
ALL_VERSIONS = Group(
    "selection", (), (Flag(("--all-versions", "--versions"), "every version and delete marker"),)
)
SYMLINKS = Group(
    "selection",
    (),
    (
        Flag(("--follow-symlinks",), "take the files that symbolic links point to (default)"),
        Flag(("--no-follow-symlinks",), "pass symbolic links over"),
    ),
)
CUSTOMER_KEY = Group(
    "encryption",
    (),
    (Flag(("--sse-c-key-file",), "file with the 32 bytes of the SSE-C key, raw or in base64", "FILE"),),
)
PROPERTIES = Group(
    "what the objects written get",
    (),
    (
        Flag(("--storage-class",), "STANDARD, STANDARD_IA, GLACIER_IR …", "CLASS"),
        Flag(("--acl",), "private, public-read, bucket-owner-full-control …", "ACL"),
        Flag(("--sse",), "server-side encryption", "MODE", ("AES256", "aws:kms", "aws:kms:dsse")),
        Flag(("--sse-kms-key-id",), "key for aws:kms", "ID"),
        Flag(("--metadata",), "metadata, may be repeated", "KEY=VALUE", repeat=True),
        Flag(("--tag",), "tag, may be repeated", "KEY=VALUE", repeat=True),
        Flag(("--content-type",), "media type; guessed from the name where not given", "TYPE"),
        Flag(("--content-encoding",), "gzip …", "ENCODING"),
        Flag(("--content-disposition",), "how browsers present it", "TEXT"),
        Flag(("--content-language",), "de, en-GB …", "LANGUAGE"),
        Flag(("--cache-control",), "max-age=3600 …", "TEXT"),
        Flag(("--expires",), "when caches must ask again, as an HTTP or ISO 8601 date", "DATE"),
    ),
)
#: What a job can give to every object; a date on which caches ask again would be of the day of the plan.
JOB_PROPERTIES = Group(
    PROPERTIES.title, (), tuple(flag for flag in PROPERTIES.flags if flag.names[0] != "--expires")
)


class _Filter(argparse.Action):
    """Keeps --include and --exclude in the order in which they were given."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        from haulyard.transfer.filters import Pattern

        pattern = Pattern(option_string == "--include", str(values))
        namespace.filters = (*namespace.filters, pattern)


def add(parser: argparse.ArgumentParser, *groups: Group) -> None:
    """Declare the flags of ``groups``; those of one title come under one heading."""
    headings: dict[str, argparse._ArgumentGroup | argparse.ArgumentParser] = {"": parser}
    for group in groups:
        heading = headings.get(group.title)
        if heading is None:
            heading = headings[group.title] = parser.add_argument_group(group.title)
        for name in group.settings:
            _add_setting(heading, name)
        for flag in group.flags:
            _add_flag(heading, flag)


def settings_given(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings among the parsed flags, for `haulyard.config.resolve`."""
    return {name: value for name, value in vars(arguments).items() if name in SETTINGS}


def takes_value() -> Mapping[str, bool]:
    """Return for every shared flag whether a value follows it."""
    known: dict[str, bool] = {}
    for group in (*_SETTING_GROUPS, *_OTHER_GROUPS):
        for name in group.settings:
            setting = SETTINGS[name]
            known[setting.flag] = setting.kind.native != (bool,)
            if name == "progress":
                known["--no-progress"] = False
        for flag in group.flags:
            known.update((name, bool(flag.metavar)) for name in flag.names)
    return known


_SETTING_GROUPS = (CONNECTION, SOURCE, TRANSFER, OUTPUT, PROGRESS, JOBS)
_OTHER_GROUPS = (
    DRY_RUN,
    FILTERS,
    MANIFEST,
    RAW,
    VERSION,
    ALL_VERSIONS,
    SYMLINKS,
    CUSTOMER_KEY,
    PROPERTIES,
)


def _add_setting(heading: argparse._ArgumentGroup | argparse.ArgumentParser, name: str) -> None:
    setting = SETTINGS[name]
    if setting.kind.native == (bool,):
        turns_on = not setting.flag.startswith("--no-") or setting.name.startswith("no_")
        heading.add_argument(
            setting.flag,
            dest=name,
            action="store_const",
            const=turns_on,
            default=argparse.SUPPRESS,
            help=setting.help if turns_on else f"do not {setting.help}",
        )
        if name == "progress":
            heading.add_argument(
                "--no-progress",
                dest=name,
                action="store_const",
                const=False,
                default=argparse.SUPPRESS,
                help="show none",
            )
        return
    metavar = "|".join(setting.kind.choices) if 0 < len(setting.kind.choices) <= 4 else name.upper()  # noqa: PLR2004 -- what fits the column
    heading.add_argument(
        setting.flag,
        dest=name,
        metavar=metavar.rpartition("_")[2] if "|" not in metavar else metavar,
        default=argparse.SUPPRESS,
        help=f"{setting.help} ({setting.variable})",
    )


def _add_flag(heading: argparse._ArgumentGroup | argparse.ArgumentParser, flag: Flag) -> None:
    if flag.names[0] in {"--include", "--exclude"}:
        heading.add_argument(
            *flag.names, action=_Filter, dest="filters", default=(), metavar=flag.metavar, help=flag.help
        )
    elif flag.names[0].endswith("follow-symlinks"):
        heading.add_argument(
            *flag.names,
            action="store_const",
            const=not flag.names[0].startswith("--no-"),
            dest="follow_symlinks",
            default=True,
            help=flag.help,
        )
    elif not flag.metavar:
        heading.add_argument(*flag.names, action="store_true", help=flag.help)
    elif flag.repeat:
        heading.add_argument(*flag.names, action="append", default=[], metavar=flag.metavar, help=flag.help)
    else:
        heading.add_argument(
            *flag.names,
            default="",
            metavar="|".join(flag.choices) or flag.metavar,
            choices=flag.choices or None,
            help=flag.help,
        )
