"""What `haul process` was asked for: its flags judged, before any file or variable is looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from haulyard.cli.properties import pairs
from haulyard.config.kinds import parse_duration
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

#: A GET would carry nothing of the record.
METHODS: Final = ("POST", "PUT", "PATCH", "DELETE")
BODIES: Final = ("json", "array", "form")
FORMATS: Final = ("csv", "tsv", "jsonl", "json", "parquet")
COMPRESSIONS: Final = ("gzip", "zstd", "bz2", "none")
#: Settings that only this command has, by their names in the namespace.
OWN: Final = (
    "api_endpoint",
    "batch_size",
    "max_in_flight",
    "rate_limit_calls",
    "rate_limit_period",
    "chunk_size",
)
_RATE: Final = re.compile(r"(\d+)(?:/(\d*)([a-z]+))?")
_PERIODS: Final = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_ESCAPED: Final = {"\\t": "\t", "tab": "\t", "none": ""}
#: Flags that describe a job; they mean nothing where one is gone on with.
_OF_A_JOB: Final = (
    "recursive",
    "raw",
    "manifest",
    "filters",
    "format",
    "compression",
    "delimiter",
    "escape",
    "columns",
    "fields",
    "rename",
    "transform",
    "sample",
    "header",
    "body",
    "body_template",
    "success",
    "save_responses",
    "responses_format",
    "api_endpoint",
)
#: The same of those that have a default.
_DEFAULTS: Final = {
    "records_per_call": 1,
    "method": "POST",
    "encoding": "utf-8",
    "quote": '"',
    "types": "strings",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; ``settings`` are flags that are settings of this command, as texts.

    ``limits`` are calls and seconds. Times are in seconds, None where they were not given.
    """

    source: str
    job: str
    new: bool
    retry_failed: str
    dead_letters: str
    dead_letters_to: str
    dry_run: bool
    limit: int
    sample: float
    grace: float | None
    patience: float | None
    timeout: float | None
    stop_after: int | None
    limits: tuple[tuple[int, float], ...]
    described: bool
    method: str
    headers: tuple[tuple[str, str], ...]
    body: str
    template: str
    records_per_call: int
    success: str
    save_responses: str
    responses_format: str
    recursive: bool
    raw: bool
    manifest: str
    filters: tuple[tuple[bool, str], ...]
    format: str
    compression: str
    encoding: str
    delimiter: str
    quote: str
    escape: str
    columns: tuple[str, ...]
    types: str
    fields: tuple[str, ...]
    renames: Mapping[str, str]
    transform: str
    settings: Mapping[str, str | None] = field(default_factory=dict)


def read(arguments: Namespace) -> Options:
    """Validate the arguments.

    Raises:
        ConfigError: One of them is not what it has to be, or does not go with another.
    """
    # Only here: it looks for secrets in headers, which takes no import to speak of.
    from haulyard.records.secrets import parse_header

    _check_modes(arguments)
    if arguments.records_per_call < 1:
        raise ConfigError("--records-per-call is at least 1", hint="write --records-per-call 100")
    if arguments.stop_after is not None and arguments.stop_after < 0:
        raise ConfigError("--stop-after is a number of answers", hint="write --stop-after 100; 0 is never")
    if arguments.limit < 0:
        raise ConfigError("--limit is a number of records", hint="write --limit 1000")
    if arguments.rate and (arguments.rate_limit_calls or arguments.rate_limit_period):
        raise ConfigError(
            "--rate and --rate-limit-calls exclude each other",
            hint="write --rate 5000/s, maybe several",
        )
    if arguments.body and arguments.body_template:
        raise ConfigError("--body and --body-template exclude each other", hint="leave one of them out")
    template = _template(arguments.body_template)
    return Options(
        source=arguments.source,
        job=arguments.job,
        new=arguments.new,
        retry_failed=arguments.retry_failed,
        dead_letters=arguments.dead_letters,
        dead_letters_to=arguments.dead_letters_to,
        dry_run=arguments.dry_run,
        limit=arguments.limit,
        sample=_share(arguments.sample),
        grace=_time("--grace", arguments.grace),
        patience=_time("--patience", arguments.patience),
        timeout=_timeout(arguments.timeout),
        stop_after=arguments.stop_after,
        limits=tuple(parse_rate(each) for each in arguments.rate),
        described=any(getattr(arguments, name) for name in _OF_A_JOB)
        or any(getattr(arguments, name) != default for name, default in _DEFAULTS.items()),
        method=arguments.method,
        headers=tuple(parse_header(each) for each in arguments.header),
        body="template" if arguments.body_template else arguments.body or "json",
        template=template,
        records_per_call=arguments.records_per_call,
        success=arguments.success,
        save_responses=arguments.save_responses,
        responses_format=arguments.responses_format or "jsonl",
        recursive=arguments.recursive,
        raw=arguments.raw,
        manifest=arguments.manifest,
        filters=arguments.filters,
        format=arguments.format,
        compression=arguments.compression,
        encoding=arguments.encoding,
        delimiter=_character("--delimiter", arguments.delimiter),
        quote=_character("--quote", arguments.quote),
        escape=_character("--escape", arguments.escape),
        columns=_names("--columns", arguments.columns),
        types=arguments.types,
        fields=_names("--fields", arguments.fields),
        renames=pairs(arguments.rename, "--rename"),
        transform=arguments.transform,
        settings={name: getattr(arguments, name) for name in OWN},
    )


def parse_rate(text: str, flag: str = "--rate") -> tuple[int, float]:
    """Return calls and seconds of ``5000``, ``5000/s``, ``10/min``, ``3/10s`` or ``1000000/day``.

    Raises:
        ConfigError: It is none of these.
    """
    match = _RATE.fullmatch(text.strip().lower().replace(" ", "").replace(",", "").replace("_", ""))
    period = _PERIODS.get(match[3] or "") if match else None
    if match is None or period is None or int(match[1]) < 1 or match[2] == "0":
        raise ConfigError(f"{flag} {text!r} is no rate", hint=f"write {flag} 5000/s, 10/min or 1000000/day")
    return int(match[1]), period * int(match[2] or 1)


def _check_modes(arguments: Namespace) -> None:
    modes = [name for name in ("retry_failed", "dead_letters") if getattr(arguments, name)]
    for name in modes:
        flag = f"--{name.replace('_', '-')}"
        if len(modes) > 1 or arguments.source or arguments.job or arguments.new:
            raise ConfigError(f"{flag} names its job itself", hint=f"write haul process {flag} JOB")
    if modes and arguments.dry_run:
        raise ConfigError("--dry-run is for records that were not sent yet", hint="leave it out")
    if arguments.new and arguments.dry_run:
        raise ConfigError("--new and --dry-run exclude each other", hint="a dry run begins no job")


def _template(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"--body-template {text}: {reason}", hint="write @ and the path of a file"
        ) from None


def _share(text: str) -> float:
    if not text:
        return 1.0
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigError(f"--sample {text!r} is no share", hint="write --sample 0.01 or --sample 1%")
    return share


def _time(flag: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise ConfigError(f"{flag} {text!r} is no time", hint=f"write {flag} 30s") from None


def _timeout(text: str) -> float | None:
    seconds = _time("--timeout", text)
    if seconds == 0:
        raise ConfigError("--timeout 0 leaves no time to answer", hint="write --timeout 30s")
    return seconds


def _character(flag: str, text: str) -> str:
    text = _ESCAPED.get(text, text)
    if len(text) > 1:
        raise ConfigError(f"{flag} {text!r} is not one character", hint=f"write {flag} ';', or tab")
    return text


def _names(flag: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"{flag} {text!r} has an empty name, or one twice", hint=f"write {flag} id,name")
    return names
