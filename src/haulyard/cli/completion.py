"""Print the completion script of a shell: verbs, the flags of each, their values, and files.

bash: eval "$(haul completion bash)"
zsh:  eval "$(haul completion zsh)"
fish: haul completion fish | source
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from haulyard.cli import exits
from haulyard.cli.commands import COMMANDS, load
from haulyard.cli.flags import takes_value
from haulyard.config import SETTINGS

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping, Sequence

    from haulyard.cli.context import Context

EXAMPLES = ('eval "$(haul completion bash)"', "haul completion fish")


@dataclass(frozen=True, slots=True)
class Options:
    """Which shell."""

    shell: str


class Flag(NamedTuple):
    """A flag as completion shows it; ``choices`` are the values that may follow."""

    name: str
    help: str
    takes_value: bool
    choices: tuple[str, ...]


def configure(parser: ArgumentParser) -> None:
    """Declare the positional."""
    parser.add_argument("shell", choices=tuple(_SHELLS), help="for which shell")


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(arguments.shell)


def run(options: Options, context: Context) -> int:
    """Print the script."""
    flags = {verb: flags_of(verb) for verb in COMMANDS}
    context.output.lines([_SHELLS[options.shell](flags)])
    return exits.OK


def flags_of(verb: str) -> list[Flag]:
    """Return the long flags of a command, as its parser knows them."""
    from haulyard.cli.parsing import build

    return [
        Flag(
            name,
            (action.help or "").replace("%%", "%"),
            action.nargs is None,
            tuple(action.choices or ()) or _choices(action.dest),
        )
        for name, action in build(verb, load(verb)).flags().items()
        if name.startswith("--")
    ]


def _choices(name: str) -> tuple[str, ...]:
    return SETTINGS[name].kind.choices if name in SETTINGS else ()


def words_of(verb: str) -> tuple[str, ...]:
    """Return the words that a command itself knows, such as what `haul local` can do."""
    from haulyard.cli.parsing import build

    if verb == "uploads":
        return ("abort",)
    actions = build(verb, load(verb)).positionals()
    return tuple(str(choice) for action in actions for choice in action.choices or ())


def _bash(flags: Mapping[str, Sequence[Flag]]) -> str:
    cases = "\n".join(
        f'    {verb}) flags="{" ".join(flag.name for flag in known)}" words="{" ".join(words_of(verb))}" ;;'
        for verb, known in flags.items()
    )
    chosen = {flag.name: flag.choices for known in flags.values() for flag in known if flag.choices}
    values = "\n".join(f'    {name}) values="{" ".join(values)}" ;;' for name, values in chosen.items())
    valued = " ".join(sorted({flag.name for known in flags.values() for flag in known if flag.takes_value}))
    verbs, shared = " ".join(flags), " ".join(name for name in takes_value() if name.startswith("--"))
    return f"""_haul() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  local flags="" words="" values="" verb="" before="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " {valued} " in *" $before "*) before=""; continue ;; esac
    before="$word"
    case " {verbs} " in *" $word "*) verb="$word"; break ;; esac
  done
  case "$verb" in
    "") flags="{shared} --help --version" words="{verbs} help" ;;
{cases}
  esac
  case "$previous" in
{values}
  esac
  if [[ -n "$values" ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$current"))
  elif [[ " {valued} " == *" $previous "* ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ -n "$words" && ( -z "$verb" || "$previous" == "$verb" ) ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _haul haul"""


def _zsh(flags: Mapping[str, Sequence[Flag]]) -> str:
    verbs = "\n".join(f"    {_quoted(f'{verb}:{COMMANDS[verb].summary}')}" for verb in flags)
    cases = "\n".join(
        f"    {verb}) flags=({' '.join(_quoted(f'{flag.name}:{_colons(flag.help)}') for flag in known)}) ;;"
        for verb, known in flags.items()
    )
    return f"""_haul() {{
  local -a verbs flags
  verbs=(
{verbs}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  case "$words[2]" in
{cases}
  esac
  if [[ "$words[CURRENT]" == -* ]]; then
    _describe -o flag flags
  else
    _files
  fi
}}
compdef _haul haul"""


def _fish(flags: Mapping[str, Sequence[Flag]]) -> str:
    lines = [
        f"complete -c haul -n __fish_use_subcommand -f -a {verb} -d {_quoted(COMMANDS[verb].summary)}"
        for verb in flags
    ]
    for verb, known in flags.items():
        for flag in known:
            value = " -r" if flag.takes_value else ""
            if flag.choices:
                value = f" -x -a {_quoted(' '.join(flag.choices))}"
            lines.append(
                f"complete -c haul -n '__fish_seen_subcommand_from {verb}' "
                f"-l {flag.name[2:]}{value} -d {_quoted(flag.help)}"
            )
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Quote for all three shells: a single quote ends the quotes, is escaped, and begins them again."""
    return "'" + text.replace("'", "'\\''") + "'"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


_SHELLS: dict[str, Callable[[Mapping[str, Sequence[Flag]]], str]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
