"""Numbers, sizes, durations and foreign names as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_KIB = 1024
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: float) -> str:
    """Return a count, or a rate, with thousands kept apart; below 10 with one decimal unless it is whole."""
    if value == int(value) or abs(value) >= 10:  # noqa: PLR2004 -- two digits are precise enough
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def size(value: float) -> str:
    """Return bytes in the largest binary unit of which there is at least one: ``7.5 KiB``."""
    if value < _KIB:
        return f"{value:.0f} B"
    value, power = value / _KIB, 0
    # 1023.96 KiB would be shown as 1024.0 KiB.
    while value >= 1023.95 and power < len(_UNITS) - 1:  # noqa: PLR2004 -- what would round to 1024.0
        value, power = value / _KIB, power + 1
    return f"{value:.1f} {_UNITS[power]}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 d 4 h``, ``2 min 5 s``, ``1.4 s``, ``12 ms``."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:  # noqa: PLR2004 -- tenths matter below
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if (whole := round(seconds)) < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", "s")
    if (minutes := round(seconds / _MINUTE)) < _DAY // _MINUTE:
        return _two(minutes, 60, "h", "min")
    return _two(round(seconds / _HOUR), 24, "d", "h")


def _two(value: int, each: int, large: str, small: str) -> str:
    whole, rest = divmod(value, each)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def moment(at: float) -> str:
    """Return POSIX seconds as a time in UTC, to the second; ``""`` for 0.0."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""


def things(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 object``, ``2,000 objects``."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def visible(text: str) -> str:
    """Return a foreign name with all that does not print (line ends, bidirectional marks) spelled out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _spelled(ord(each)) for each in text)


def _spelled(code: int) -> str:
    if code < 256:  # noqa: PLR2004 -- one byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"  # noqa: PLR2004 -- two bytes
