"""The argument parser: argparse, with errors as values and flags anywhere between the positionals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from haulyard.cli.commands import COMMANDS, TRY
from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from haulyard.cli.commands import CommandModule


class HelpRequested(Exception):
    """``--help`` was given; the text of it is the argument."""


class _Help(argparse.Action):
    """Raises the help instead of printing it: one place writes to standard output."""

    def __call__(self, parser: argparse.ArgumentParser, *_args: object, **_kwargs: object) -> None:
        raise HelpRequested(parser.format_help())


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process, and suggests what was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError for wrong usage."""
        raise ConfigError(message, hint=f"{self.prog} --help shows how it is used")

    def flags(self) -> dict[str, argparse.Action]:
        """Return every flag with its action."""
        return self._option_string_actions

    def positionals(self) -> list[argparse.Action]:
        """Return what is no flag, in its order."""
        return self._get_positional_actions()

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse ``words``, in which flags and positionals may stand in any order.

        Raises:
            ConfigError: They are not what the command understands.
        """
        return self.parse(*self.split(words))

    def parse(self, flags: Sequence[str], positionals: Sequence[str]) -> argparse.Namespace:
        """Parse what `split` took apart.

        Raises:
            ConfigError: They are not what the command understands.
        """
        divider = ["--"] if any(word.startswith("-") and word != "-" for word in positionals) else []
        arguments, superfluous = self.parse_known_args([*flags, *divider, *positionals])
        if superfluous:
            raise self._refused(superfluous[0])
        return arguments

    def _refused(self, word: str) -> ConfigError:
        hint = f"{self.prog} --help shows how it is used"
        if not word.startswith("-"):
            return ConfigError(f"{word!r} is one argument too many", hint=hint)
        near = nearest(word.partition("=")[0], self.flags())
        return ConfigError(
            f"{word} is not a flag of {self.prog}", hint=f"did you mean {near}?" if near else hint
        )

    def split(self, words: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the flags with their values, and the positionals; behind ``--`` all are positionals.

        argparse fills a positional of several values from the first run of words and refuses the rest, so
        that ``cp a --json b c/`` would be wrong. It also complains of what is missing before it complains of
        a flag that it does not know, which is the likelier mistake.

        Raises:
            ConfigError: A flag that the command does not know.
        """
        flags: list[str] = []
        positionals: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                positionals.extend(rest)
            elif not word.startswith("-") or word == "-":
                positionals.append(word)
            else:
                if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                    raise self._refused(word)
                flags.append(word)
                action = self._option_string_actions.get(word)
                if action is not None and action.nargs is None:
                    flags.extend(value for value in (next(rest, None),) if value is not None)
        return flags, positionals


def build(verb: str, module: CommandModule) -> Parser:
    """Return the parser of one command, with its help."""
    examples = "\n".join(f"  {line}" for line in module.EXAMPLES)
    parser = Parser(
        prog=f"haul {verb}",
        description=_describe(verb, module),
        epilog=f"examples:\n{examples}\n\nto try them against the embedded store, first:\n  {TRY}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help")
    module.configure(parser)
    return parser


def _describe(verb: str, module: CommandModule) -> str:
    """Return the module's docstring: the file is the command, and says what it does."""
    text = (module.__doc__ or "").strip()
    return text or COMMANDS[verb].summary
