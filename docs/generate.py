"""Writes the parts of the documentation that the code knows best: ``python docs/generate.py``.

A page marks such a part with two comments, ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``. A test holds
every page to what is written here, so that flags, settings, errors and events cannot change without it.
"""
# ruff: noqa: INP001 -- a script, not part of a package

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from haulyard import errors, events
from haulyard.cli import commands, exits, flags
from haulyard.cli.parsing import build
from haulyard.config import (
    PROCESSING,
    SETTINGS,
    SHIPPING,
    ProcessSettings,
    Setting,
    Settings,
    ShipSettings,
)
from haulyard.observe import lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

DOCS = Path(__file__).parent

#: The headings of flags that several commands share, in the order of the reference.
_SHARED = tuple(
    dict.fromkeys(
        group.title
        for group in (
            flags.FILTERS,
            flags.CUSTOMER_KEY,
            flags.PROPERTIES,
            flags.TRANSFER,
            flags.CONNECTION,
            flags.SOURCE,
            flags.OUTPUT,
            flags.PROGRESS,
            flags.JOBS,
        )
    )
)


def main() -> int:
    """Write every page that is not as it should be."""
    for page in sorted({page for page, _ in PARTS}):
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        fresh = filled(page, text)
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")
            sys.stdout.write(f"{path.name} written\n")
    return 0


def filled(page: str, text: str) -> str:
    """Return the text of a page with its parts as they are now.

    Raises:
        ValueError: The page lacks the marks of a part.
    """
    for (of_page, name), make in PARTS.items():
        if of_page != page:
            continue
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page} has no part {name}")
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


def command_reference() -> str:
    """Return a section for each command, then one for each group of flags that they share."""
    parsers = {verb: build(verb, commands.load(verb)) for verb in commands.COMMANDS}
    sections = [f"- {_linked(verbs)}: {title}" for title, verbs in _titles().items()]
    parts = ["\n".join(sections)]
    parts += [_command(verb, parser) for verb, parser in parsers.items()]
    parts.append("## Shared flags\n\nThey may stand before the verb or behind it.")
    parts += [_shared_section(title, parsers.values()) for title in _SHARED]
    return "\n\n".join(parts)


def _titles() -> dict[str, list[str]]:
    return {title: list(group) for title, group in commands.GROUPS.items()}


def _linked(verbs: Iterable[str]) -> str:
    return " ".join(f"[{verb}](#haul-{verb})" for verb in verbs)


def _command(verb: str, parser: argparse.ArgumentParser) -> str:
    groups = {str(group.title): _visible(group) for group in parser._action_groups}  # noqa: SLF001 -- argparse has no public name for it
    words, own = groups.get("positional arguments", []), groups.get("options", [])
    parts = [f"## haul {verb}", _prose(parser.description or "")]
    usage = " ".join(("haul", verb, "[FLAG …]", *(_word(action) for action in words)))
    parts.append(f"```text\n{usage}\n```")
    if words:
        parts.append(_table(("argument", ""), ((f"`{_word(each)}`", each.help) for each in words)))
    if own:
        parts.append(_table(("flag", ""), ((_flag(each), _help(each)) for each in own)))
    shared = [_shared_line(title, groups[title]) for title in _SHARED if groups.get(title)]
    if shared:
        parts.append("Shared flags: " + "; ".join(shared) + ".")
    examples = "\n".join(commands.load(verb).EXAMPLES)
    parts.append(f"```sh\n{examples}\n```")
    return "\n\n".join(parts)


def _visible(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [action for action in group._group_actions if action.dest != "help"]  # noqa: SLF001


def _word(action: argparse.Action) -> str:
    name = str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest)
    return {"+": f"{name} …", "*": f"[{name} …]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _flag(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    if action.nargs == 0:
        return names
    value = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    return f"{names[:-1]} {value}`"


def _help(action: argparse.Action) -> str:
    # The variable has a column of its own.
    return re.sub(r" \(HAUL_[A-Z_]+\)$", "", action.help or "")


def _shared_line(title: str, actions: list[argparse.Action]) -> str:
    link = f"[{title}](#{_anchor(title)})"
    if any(action.dest in SETTINGS for action in actions):
        return link
    names = dict.fromkeys(name for action in actions for name in action.option_strings)
    return f"{link} " + " ".join(f"`{name}`" for name in names)


def _shared_section(title: str, parsers: Iterable[argparse.ArgumentParser]) -> str:
    actions: dict[str, argparse.Action] = {}
    for parser in parsers:
        for group in parser._action_groups:  # noqa: SLF001
            if group.title == title:
                actions |= {action.option_strings[-1]: action for action in _visible(group)}
    order = list(flags.takes_value())
    rows = sorted(actions.values(), key=lambda action: order.index(action.option_strings[0]))
    variables = any(action.dest in SETTINGS for action in rows)
    heads = ("flag", "", "variable") if variables else ("flag", "")
    cells = ((_flag(each), _help(each), _variable(each))[: len(heads)] for each in rows)
    return f"### {title}\n\n" + _table(heads, cells)


def _variable(action: argparse.Action) -> str:
    setting = SETTINGS.get(action.dest)
    return f"`{setting.variable}`" if setting else ""


def _prose(text: str) -> str:
    """Return a docstring as Markdown: what is aligned by hand stays as it is."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        aligned = re.search(r"\S {2,}\S", paragraph)
        paragraphs.append(f"```text\n{paragraph}\n```" if aligned else _escaped(paragraph))
    return "\n\n".join(paragraphs)


def _escaped(text: str) -> str:
    """Return ``text`` with asterisks that are no emphasis; what stands in backticks is left alone."""
    pieces = text.split("`")
    pieces[::2] = [piece.replace("*", r"\*") for piece in pieces[::2]]
    return "`".join(pieces)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def _table(heads: tuple[str, ...], rows: Iterable[Iterable[str | None]]) -> str:
    shown = [heads, tuple("---" for _ in heads)]
    shown += [tuple(_escaped(cell or "").replace("|", r"\|") for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in shown)


def settings() -> str:
    """Return a table of every setting that commands share."""
    return _settings(SETTINGS, Settings(), _settable())


def processing() -> str:
    """Return a table of the settings of `haul process`."""
    return _settings(PROCESSING, ProcessSettings(), set(PROCESSING) - {"s3_bucket", "s3_key"})


def shipping() -> str:
    """Return a table of the settings of `haul ship`."""
    return _settings(SHIPPING, ShipSettings(), {"use_date_folders", "retries", "retry_base_delay"})


def _settings(table: dict[str, Setting], defaults: object, settable: set[str]) -> str:
    rows = []
    for name, setting in table.items():
        default = "`~/.local/state/haulyard`" if name == "state_dir" else _shown(getattr(defaults, name))
        variables = " ".join(f"`{each}`" for each in (setting.variable, *setting.names))
        flag = f"`{setting.flag}`" if name in settable else ""
        rows.append((f"`{name}`", setting.help, default, flag, variables, setting.kind.allowed))
    return _table(("setting", "what it is", "default", "flag", "variables", "values"), rows)


def _settable() -> set[str]:
    groups = (
        flags.CONNECTION,
        flags.SOURCE,
        flags.TRANSFER,
        flags.OUTPUT,
        flags.PROGRESS,
        flags.JOBS,
    )
    return {name for group in groups for name in group.settings}


def _shown(value: object) -> str:
    if value in {None, ""}:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def profile_keys() -> str:
    """Return the settings that an AWS profile can give."""
    names = [f"`{name}`" for name, setting in SETTINGS.items() if setting.profile_key]
    return ", ".join(names) + "."


def error_tree() -> str:
    """Return the tree of errors as its module draws it."""
    _, _, rest = inspect.cleandoc(errors.__doc__ or "").partition("::\n\n")
    tree, _, _ = rest.partition("\n\n``")
    return f"```text\n{inspect.cleandoc(tree)}\n```"


def exit_codes() -> str:
    """Return the table of exit codes as its module states it."""
    rows = re.findall(r"^([0-9]+) +(\S.*)$", exits.__doc__ or "", re.MULTILINE)
    return _table(("code", "meaning"), rows)


def event_table() -> str:
    """Return a section for each event: when it is emitted, its name in JSON, its fields."""
    sections = []
    for event in get_args(events.Event):
        fields: tuple[str, ...] = event._fields
        required = len(fields) - len(event._field_defaults)
        sample: Any = event(*("" for _ in range(required)))
        sections.append(
            f"### {event.__name__}\n\n{_paragraphs(event.__doc__)}\n\n"
            f"In JSON `{lines.kind(sample)}`, in the log at level `{lines.level(sample)}`. "
            f"Fields: {', '.join(f'`{name}`' for name in fields)}."
        )
    return "\n\n".join(sections)


def _paragraphs(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("``", "`")


#: What is written where: page and name of the part.
PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("commands.md", "commands"): command_reference,
    ("configuration.md", "settings"): settings,
    ("configuration.md", "processing"): processing,
    ("configuration.md", "shipping"): shipping,
    ("configuration.md", "profile"): profile_keys,
    ("errors-and-exit-codes.md", "tree"): error_tree,
    ("errors-and-exit-codes.md", "codes"): exit_codes,
    ("events.md", "events"): event_table,
}

if __name__ == "__main__":
    sys.exit(main())
