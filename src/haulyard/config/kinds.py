"""What the value of a setting may look like: its text form, its form in ``haul.toml``, its range."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGTPE]?)(I?)(B?)", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_ENDPOINT = re.compile(r"https?://[^/?#@\s]+(?:/[^?#@\s]*)?", re.IGNORECASE)


class Kind(NamedTuple):
    """A kind of value.

    ``parse`` turns text into the value and raises ValueError where it cannot; ``native`` are the TOML types
    that may stand for it; ``allowed`` says in words what is accepted.
    """

    parse: Callable[[str], object]
    native: tuple[type, ...]
    allowed: str
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> object:
        """Return the value that ``value``, a text or one of ``native``, stands for.

        Raises:
            ValueError: It is of another type or out of range.
        """
        # bool is an int to isinstance, but `concurrency = true` is a mistake.
        if type(value) not in self.native and not isinstance(value, str):
            raise ValueError(value)
        return self.parse(str(value))

    def read_native(self, value: object) -> object:
        """Return what a TOML value stands for; a text only where texts are native to the kind.

        Raises:
            ValueError: It is of another type or out of range.
        """
        if type(value) not in self.native:
            raise ValueError(value)
        return self.parse(str(value))


def parse_size(text: str) -> int:
    """Return a number of bytes: ``8MiB``, ``8M`` and ``8Mi`` are powers of 1024, ``8MB`` is of 1000.

    Raises:
        ValueError: Not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(text)
    base = 1000 if match[4] and match[2] and not match[3] else 1024
    exponent = " KMGTPE".index(match[2].upper()) if match[2] else 0
    number = float(match[1]) if "." in match[1] else int(match[1])
    return int(number * base**exponent)


def parse_rate(text: str) -> int:
    """Return bytes a second: a size, with or without ``/s``.

    Raises:
        ValueError: Not a rate.
    """
    return parse_size(text.strip().removesuffix("/s"))


def parse_duration(text: str) -> float:
    """Return seconds: ``90``, ``1.5``, ``250ms``, ``1h30m``, ``7d``.

    Raises:
        ValueError: Not a duration.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def parse_flag(text: str) -> bool:
    """Return the truth of ``true yes on 1`` or ``false no off 0``.

    Raises:
        ValueError: Neither.
    """
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)


def choice(*names: str, fold: Callable[[str], str] = str.lower) -> Kind:
    """Return the kind that is one of ``names``, after ``fold``."""

    def parse(text: str) -> str:
        folded = fold(text.strip())
        if folded not in names:
            raise ValueError(text)
        return folded

    return Kind(parse, (str,), "one of " + ", ".join(names), names)


def count(minimum: int, maximum: int) -> Kind:
    """Return the kind that is a whole number from ``minimum`` to ``maximum``."""

    def parse(text: str) -> int:
        number = int(text)
        if not minimum <= number <= maximum:
            raise ValueError(text)
        return number

    return Kind(parse, (int,), f"a whole number from {minimum} to {maximum}")


def _parse_endpoint(text: str) -> str:
    text = text.strip()
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(text)
    return text.rstrip("/")


def _parse_part_size(text: str) -> int:
    size = 0 if text.strip().lower() == "auto" else parse_size(text)
    if size and not 5 * 1024**2 <= size <= 5 * 1024**3:
        raise ValueError(text)
    return size


def _parse_some_bytes(text: str) -> int:
    size = parse_size(text)
    if size < 1:
        raise ValueError(text)
    return size


def _parse_account(text: str) -> str:
    if not re.fullmatch("[0-9]{12}", text.strip()):
        raise ValueError(text)
    return text.strip()


TEXT = Kind(str, (str,), "a text")
FLAG = Kind(parse_flag, (bool,), "true or false")
ENDPOINT = Kind(_parse_endpoint, (str,), "http:// or https://, a host, and maybe a port and a path")
RATE = Kind(parse_rate, (int, str), "bytes a second like 10MiB, 500K or 2.5G; 0 for no limit")
DURATION = Kind(parse_duration, (int, float, str), "seconds, or a duration like 250ms, 30s or 1h30m")
SIZE = Kind(_parse_some_bytes, (int, str), "a number of bytes like 8192, 64KiB or 1MiB")
PART_SIZE = Kind(_parse_part_size, (int, str), "a size from 5MiB to 5GiB, or auto")
ACCOUNT = Kind(_parse_account, (str,), "the 12 digits of an AWS account")
