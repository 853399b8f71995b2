"""Lines of ``haul run``, parsed fast: what two lines have in common is parsed once.

argparse takes 0.3 ms a line, three times as long as a small GET. Lines of one verb with the same flags and
as many positionals differ only in these, so the first of them is parsed with placeholders, and the others
get their words in the same places. A property test holds both ways equal.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, NamedTuple

from haulyard.cli.commands import COMMANDS, load
from haulyard.cli.parsing import build
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.cli.commands import CommandModule
    from haulyard.cli.parsing import Parser

#: Why a command cannot be a line among others.
REFUSED = {
    "run": "lines run in one process already",
    "cat": "the bytes of objects that are written at the same time would mix",
    **dict.fromkeys(("local", "config", "completion", "demo", "doctor"), "it is not about objects"),
}

# What only a shell's rules can split: quotes, escapes, comments, and blanks that shells do not split at.
_NEEDS_SHELL_RULES = frozenset("'\"\\#\x0b\x0c\x1c\x1d\x1e\x1f")
_MOST_TEMPLATES = 256


class Line(NamedTuple):
    """One line, parsed; ``flagged`` where it has any flags."""

    verb: str
    module: CommandModule
    arguments: Namespace
    flagged: bool


class Script:
    """Parses lines; what it learns from one is used for the next."""

    def __init__(self) -> None:
        self._grammars: dict[str, Grammar] = {}

    def parse(self, text: str) -> Line | None:
        """Return what a line says; None for an empty one or a comment.

        Raises:
            ConfigError: It is not a command that can stand here.
        """
        words = split_words(text)
        if words and words[0] == "haul":
            del words[0]
        if not words:
            return None
        verb = words[0]
        grammar = self._grammars.get(verb) or self._learn(verb)
        flags, positionals = grammar.parser.split(words[1:])
        if "-" in positionals:
            raise ConfigError("- cannot be a stream in a line of haul run", hint="name a file")
        return Line(verb, grammar.module, grammar.arguments(flags, positionals), bool(flags))

    def _learn(self, verb: str) -> Grammar:
        if verb in REFUSED:
            raise ConfigError(
                f"{verb} cannot be a line of haul run: {REFUSED[verb]}", hint="call it by itself"
            )
        if verb.startswith("-"):
            raise ConfigError(f"the line begins with {verb}", hint="in a line the verb comes first")
        module = load(verb)
        grammar = self._grammars[verb] = Grammar(module, build(verb, module))
        return grammar


class Grammar:
    """The parser of one command, and what it said of lines before."""

    def __init__(self, module: CommandModule, parser: Parser) -> None:
        self.module = module
        self.parser = parser
        self._templates: dict[tuple[int, tuple[str, ...]], _Template | None] = {}

    def arguments(self, flags: Sequence[str], positionals: Sequence[str]) -> Namespace:
        """Return what the parser says to these words.

        Raises:
            ConfigError: They are not what the command understands.
        """
        key = (len(positionals), tuple(flags))
        if key not in self._templates:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            self._templates[key] = _template(self.parser, flags, len(positionals))
        template = self._templates[key]
        return self.parser.parse(flags, positionals) if template is None else template.fill(positionals)


class _Template(NamedTuple):
    """A parsed line: its values, and which positional stands where, alone or in a list."""

    values: Mapping[str, object]
    alone: tuple[tuple[str, int], ...]
    listed: tuple[tuple[str, tuple[int, ...]], ...]

    def fill(self, positionals: Sequence[str]) -> Namespace:
        values = dict(self.values)
        for name, index in self.alone:
            values[name] = positionals[index]
        for name, indices in self.listed:
            values[name] = [positionals[index] for index in indices]
        namespace = Namespace()
        namespace.__dict__.update(values)
        return namespace


def split_words(text: str) -> list[str]:
    """Split a line into words by the rules of POSIX shells; ``#`` begins a comment.

    Raises:
        ConfigError: A quote without its end.
    """
    if text.isascii() and _NEEDS_SHELL_RULES.isdisjoint(text):
        return text.split()
    import shlex

    try:
        return shlex.split(text, comments=True)
    except ValueError as error:
        raise ConfigError(f"the line cannot be split: {error}", hint="close the quotes") from None


def _template(parser: Parser, flags: Sequence[str], count: int) -> _Template | None:
    """Return the template of lines with these flags and so many positionals; None where there can be none."""
    places = {f"\0{index}": index for index in range(count)}
    try:
        values = vars(parser.parse(flags, list(places)))
    except Exception:  # noqa: BLE001 -- the words themselves will say it better, --help among them
        return None
    alone = tuple((name, places[value]) for name, value in values.items() if _is_place(value, places))
    listed = tuple(
        (name, tuple(places[each] for each in value))
        for name, value in values.items()
        if isinstance(value, list) and value and all(_is_place(each, places) for each in value)
    )
    found = [index for _, index in alone] + [index for _, indices in listed for index in indices]
    return _Template(values, alone, listed) if sorted(found) == list(range(count)) else None


def _is_place(value: object, places: Mapping[str, int]) -> bool:
    return isinstance(value, str) and value in places


#: The commands that can be lines.
VERBS = tuple(verb for verb in COMMANDS if verb not in REFUSED)
