"""What `haul plan` was asked for: its flags judged, which mean something for some of its verbs only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from haulyard.cli.properties import pairs
from haulyard.errors import ConfigError
from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

VERBS: Final = tuple(verb.value for verb in Verb)
FORMATS: Final = ("s3-batch", "csv", "parquet")
TIERS: Final = ("Standard", "Bulk", "Expedited")
#: Flags that are for some actions only, by their names in the namespace.
_PROPERTIES: Final = (
    "storage_class",
    "acl",
    "sse",
    "sse_kms_key_id",
    "metadata",
    "content_type",
    "content_encoding",
    "content_disposition",
    "content_language",
    "cache_control",
)
_TAGS: Final = ("tag", "remove_tag")
_SELECTION: Final = ("manifest", "recursive", "raw", "filters")
_PLANNING: Final = ("rules", "job", "new", "prices", *_SELECTION)
_MEANT_FOR: Final = {
    "copy": {*_PLANNING, *_PROPERTIES, *_TAGS, "flatten"},
    "move": {*_PLANNING, *_PROPERTIES, *_TAGS, "flatten"},
    "delete": {*_PLANNING},
    "restore": {*_PLANNING, "days", "tier"},
    "retag": {*_PLANNING, *_TAGS},
    "show": {"sql"},
    "export": {"format"},
}
_ALL: Final = tuple(dict.fromkeys(name for names in _MEANT_FOR.values() for name in sorted(names)))


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; ``place`` is SOURCE or JOB, ``target`` DESTINATION or FILE."""

    action: str
    place: str = ""
    target: str = ""
    rules: str = ""
    job: str = ""
    new: bool = False
    manifest: str = ""
    recursive: bool = False
    raw: bool = False
    flatten: bool = False
    filters: tuple[tuple[bool, str], ...] = ()
    properties: Mapping[str, object] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    days: int | None = None
    tier: str = "Standard"
    prices: str = ""
    explain: str = ""
    sql: str = ""
    format: str = "csv"


def _format_of(target: str) -> str:
    return "parquet" if target.endswith(".parquet") else "csv"


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    action = arguments.action or ""
    _check_places(action, arguments)
    _refuse_others(action, arguments)
    if action not in VERBS:
        return Options(
            action,
            arguments.place,
            arguments.target,
            rules=arguments.rules,
            explain=arguments.explain,
            sql=arguments.sql,
            format=arguments.format or _format_of(arguments.target),
        )
    if arguments.days is not None and arguments.days < 1:
        raise ConfigError("--days is at least 1", hint="write --days 7")
    if arguments.flatten and arguments.rules:
        raise ConfigError("--flatten is for plans without rules", hint='a rule does it with to = "{name}"')
    if arguments.manifest == "-":
        raise ConfigError(
            "a plan that is interrupted reads its manifest again", hint="save it to a file, not to a pipe"
        )
    tags = pairs(arguments.tag, "--tag")
    if both := sorted(set(tags) & set(arguments.remove_tag)):
        raise ConfigError(f"--tag and --remove-tag both name {both[0]}", hint="give it to one of them")
    if action == "retag" and not (arguments.rules or tags or arguments.remove_tag):
        raise ConfigError("which tags?", hint="give --tag KEY=VALUE, --remove-tag KEY or --rules FILE")
    return Options(
        action,
        arguments.place,
        arguments.target,
        arguments.rules,
        arguments.job,
        arguments.new,
        arguments.manifest,
        arguments.recursive,
        arguments.raw,
        arguments.flatten,
        arguments.filters,
        _properties(arguments, tags),
        tuple(arguments.remove_tag),
        arguments.days,
        arguments.tier or "Standard",
        arguments.prices,
        arguments.explain,
    )


def _check_places(action: str, arguments: Namespace) -> None:
    """Raise unless the words and --explain go together."""
    if arguments.explain:
        if action in {"show", "export"}:
            raise ConfigError(
                f"--explain does not go with {action}", hint="write haul plan --explain KEY --rules FILE"
            )
        if not arguments.rules:
            raise ConfigError("--explain needs rules", hint="add --rules FILE")
        if action and not arguments.place:
            raise ConfigError(f"plan {action} of what?", hint="name the SOURCE, or leave the verb out")
        return
    if not action:
        raise ConfigError(
            "what is to be planned?", hint=f"write haul plan {'|'.join(VERBS)} SOURCE …; or show or export"
        )
    if action in VERBS and not arguments.place:
        raise ConfigError(f"plan {action} of what?", hint=f"write haul plan {action} s3://bucket/prefix/")
    if action in {"delete", "restore", "retag", "show"} and arguments.target:
        raise ConfigError(
            f"{arguments.target!r} is one argument too many", hint=f"plan {action} takes one place"
        )
    if action in {"copy", "move"} and not (arguments.target or arguments.rules):
        raise ConfigError(
            f"{action} where to?", hint="name a DESTINATION, or give --rules FILE that say what goes where"
        )


def _refuse_others(action: str, arguments: Namespace) -> None:
    """Raise where a flag was given that means nothing here: its wish would be ignored."""
    meant = _MEANT_FOR.get(action, {"rules"})
    for name in _ALL:
        if name not in meant and getattr(arguments, name):
            flag = "--include or --exclude" if name == "filters" else f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{flag} means nothing for plan {action or '--explain'}",
                hint="haul plan --help says what does",
            )


def _properties(arguments: Namespace, tags: Mapping[str, str]) -> dict[str, object]:
    """Return what the flags give to every object, by the names that jobs keep."""
    given: dict[str, object] = {name: getattr(arguments, name) for name in _PROPERTIES}
    given["metadata"] = pairs(arguments.metadata, "--metadata")
    given["tags"] = dict(tags)
    given["storage_class"] = arguments.storage_class.upper()
    if arguments.sse_kms_key_id and arguments.sse == "AES256":
        raise ConfigError(
            "--sse-kms-key-id does not go with --sse AES256", hint="write --sse aws:kms or leave --sse out"
        )
    if arguments.sse_kms_key_id and not arguments.sse:
        given["sse"] = "aws:kms"
    return {name: value for name, value in given.items() if value}
