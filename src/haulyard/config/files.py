"""The two files of settings in the current directory: ``.env`` and ``haul.toml``."""

from __future__ import annotations

import re
from typing import NamedTuple

from haulyard.errors import ConfigError

DOTENV = ".env"
TOML = "haul.toml"

# NAME=value as shells and docker write it: maybe exported, quoted (also over several lines) or commented.
_PAIR = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*
    (?:
        (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)")[ \t]*(?:\#[^\n]*)?
      | (?P<bare>(?!['"])[^\r\n]*?)(?:[ \t]+\#[^\n]*|[ \t]*)
    )
    (?:\r?\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Dotenv(NamedTuple):
    """The pairs of a ``.env`` file, the line of each, and the numbers of lines that are no pairs."""

    path: str
    values: dict[str, str]
    lines: dict[str, int]
    unread: tuple[int, ...]


class Toml(NamedTuple):
    """The top-level values of a ``haul.toml`` and its text, which tells the line of a key."""

    path: str
    values: dict[str, object]
    text: str

    def line_of(self, key: str) -> int:
        """Return the line, from 1, on which ``key`` is set; 0 where it cannot be told."""
        match = re.search(rf"^[ \t]*\[?[\"']?{re.escape(key)}\b", self.text, re.MULTILINE)
        return self.text.count("\n", 0, match.start()) + 1 if match else 0


def read_dotenv(cwd: str) -> Dotenv | None:
    """Return what ``.env`` in ``cwd`` says, or None where there is none.

    Other programs share this file, so a line that is no pair is reported (``unread``) and not an error.

    Raises:
        ConfigError: It exists and cannot be read.
    """
    path = f"{cwd}/{DOTENV}"
    text = _read(path)
    return None if text is None else parse_dotenv(path, text)


def parse_dotenv(path: str, text: str) -> Dotenv:
    """Read the pairs out of the text of a ``.env`` file; a later pair replaces an earlier one."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    unread: list[int] = []
    position, line = 0, 1
    while position < len(text):
        match = _BLANK.match(text, position) or _PAIR.match(text, position)
        if match is None:
            unread.append(line)
            end = text.find("\n", position) + 1 or len(text)
        else:
            end = match.end()
            if match.re is _PAIR:
                values[match["name"]] = _value(match)
                lines[match["name"]] = line
        line += text.count("\n", position, end)
        position = end
    return Dotenv(path, values, lines, tuple(unread))


def _value(match: re.Match[str]) -> str:
    double = match["double"]
    if double is not None:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), double, flags=re.DOTALL)
    single = match["single"]
    return single if single is not None else match["bare"]


def read_toml(cwd: str) -> Toml | None:
    """Return what ``haul.toml`` in ``cwd`` says, or None where there is none.

    Raises:
        ConfigError: It exists and cannot be read, or is not TOML.
    """
    path = f"{cwd}/{TOML}"
    text = _read(path)
    if text is None:
        return None
    import tomllib  # 5 ms that only directories with a haul.toml pay

    try:
        return Toml(path, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: {error}", hint="correct it as TOML: key = value, texts in quotes"
        ) from None


def _read(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        # .env is also a common name for a virtual environment.
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="make it readable or move it away"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from None
