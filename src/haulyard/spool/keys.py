"""What the name of a file tells: the key that it gets, its date, its type. Pure.

The date is the first valid one in the name: ``20250729_161500.xml``, ``events-2025-07-29.json``. Ten digits
in a row are none, nor is ``20251399``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Final, Literal, NamedTuple

from haulyard.errors import ConfigError, UnsafeName
from haulyard.stores.names import MAX_KEY
from haulyard.transfer.content_types import DEFAULT, content_type_of

DateFrom = Literal["mtime", "now", "none"]

PLAIN: Final = "{prefix}{name}"
BY_DATE: Final = "{prefix}{date:%Y/%m/%d}/{name}"

_DATE: Final = re.compile(
    r"(?<!\d)(\d{4})(-?)(\d{2})\2(\d{2})(?:[_T-]?(\d{2})[:-]?(\d{2})[:-]?(\d{2}))?(?!\d)"
)
_FIELDS: Final = frozenset({"prefix", "name", "date", "stem", "extension", "host"})
_ENCODINGS: Final = {"gz": "gzip", "zst": "zstd"}
_XML: Final = "application/xml"


@dataclass(frozen=True, slots=True)
class KeyRules:
    """How keys are made of names.

    ``template`` has the fields ``prefix name date stem extension host``; ``{date:%Y/%m}`` is formatted as by
    strftime. A name without a date takes that of the file (``mtime``) or of the moment (``now``); ``none``
    gives it the key ``{prefix}{name}``.

    Raises:
        ConfigError: The template has other fields, or none that tells names apart.
    """

    prefix: str = ""
    template: str = PLAIN
    date_from: DateFrom = "mtime"
    host: str = ""

    def __post_init__(self) -> None:
        names = _fields_of(self.template)
        if unknown := sorted(names - _FIELDS):
            raise ConfigError(
                f"the key template has no field {{{unknown[0]}}}",
                hint=f"its fields are {', '.join(sorted(_FIELDS))}",
            )
        if not names & {"name", "stem"}:
            raise ConfigError(
                f"the key template {self.template!r} gives all files one key", hint="write {name} in it"
            )
        self.render("a.xml", datetime.now(UTC))

    @property
    def rules(self) -> str:
        """What keys depend on besides the file, and this machine, as a text."""
        return f"{self.prefix} {self.template} {self.date_from}"

    @property
    def needs_date(self) -> bool:
        """Whether keys have a date in them."""
        return "date" in _fields_of(self.template)

    def render(self, name: str, date: datetime) -> str:
        """Return the template filled in."""
        stem, _, extension = name.partition(".")
        fields = {
            "prefix": self.prefix,
            "name": name,
            "date": date,
            "stem": stem,
            "extension": extension,
            "host": self.host,
        }
        try:
            return self.template.format_map(fields)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the key template {self.template!r} cannot be filled in: {error}",
                hint="write {prefix}{date:%Y/%m/%d}/{name}",
            ) from None


class KeyOf(NamedTuple):
    """A key, and whether its date had to come from elsewhere than the name."""

    key: str
    is_guessed: bool = False


def key_of(name: str, rules: KeyRules, *, modified: float, now: float) -> KeyOf:
    """Return the key for a file; ``modified`` and ``now`` are epoch seconds.

    Raises:
        UnsafeName: The key would not be UTF-8, or is longer than S3 allows (1,024 bytes).
    """
    if not rules.needs_date:
        return KeyOf(_checked(name, rules.render(name, _EPOCH)))
    date = date_of(name)
    if date is not None:
        return KeyOf(_checked(name, rules.render(name, date)))
    if rules.date_from == "none":
        return KeyOf(_checked(name, rules.prefix + name), is_guessed=True)
    date = datetime.fromtimestamp(modified if rules.date_from == "mtime" else now, UTC)
    return KeyOf(_checked(name, rules.render(name, date)), is_guessed=True)


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def date_of(name: str) -> datetime | None:
    """Return the first valid date in a name, in UTC, with its time where one follows; None for none."""
    for match in _DATE.finditer(name):
        year, _, month, day, *time = match.groups()
        try:
            date = datetime(int(year), int(month), int(day), tzinfo=UTC)
        except ValueError:
            continue
        if time[0]:
            try:
                return date.replace(hour=int(time[0]), minute=int(time[1]), second=int(time[2]))
            except ValueError:
                pass
        return date
    return None


def suffixed(key: str, number: int) -> str:
    """Return the key beside ``key`` that another file of its name gets: ``a/b-1.xml.gz``; 0 is itself."""
    if not number:
        return key
    folder, slash, name = key.rpartition("/")
    stem, dot, extension = name.partition(".") if not name.startswith(".") else (name, "", "")
    return f"{folder}{slash}{stem}-{number}{dot}{extension}"


def type_of(name: str) -> tuple[str, str]:
    """Return Content-Type and Content-Encoding: XML where nothing else fits, as this is what is shipped."""
    stem, _, extension = name.rpartition(".")
    encoding = _ENCODINGS.get(extension.lower(), "") if stem else ""
    kind = content_type_of(stem if encoding else name)
    return _XML if kind == DEFAULT else kind, encoding


def _checked(name: str, key: str) -> str:
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise UnsafeName(
            f"{name!r} is not UTF-8, which keys have to be",
            store="local",
            operation="ship",
            key=name,
            hint="give the file another name",
        ) from None
    if length > MAX_KEY:
        raise UnsafeName(
            f"the key of {name} is {length} bytes long, over {MAX_KEY}",
            store="local",
            operation="ship",
            key=name,
            hint="take a shorter prefix or name",
        )
    return key


def _fields_of(template: str) -> set[str]:
    try:
        return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ConfigError(
            f"the key template {template!r} is none: {error}", hint="write {{ for a single {"
        ) from None
