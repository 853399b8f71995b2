"""A file of rules, read as a whole: what it says, or everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final, NamedTuple

from haulyard.jobs.rules.destinations import flaws_of_destination, flaws_of_folder
from haulyard.jobs.rules.given import STORAGE_CLASSES, one_of
from haulyard.jobs.rules.lines import locate
from haulyard.jobs.rules.mistakes import Complaints, Mistake, RulesError
from haulyard.jobs.rules.reading_rule import RuleReader
from haulyard.jobs.rules.rule import PLACEHOLDER, Fallback, Folders, Rule, label
from haulyard.jobs.rules.shadows import shadowed
from haulyard.jobs.rules.template import Scope, parse_template

_TABLES: Final = ("rule", "fallback", "folders", "storage_classes")
_FALLBACK: Final = ("to", "action")
_FOLDERS: Final = ("create", "placeholder")
_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END: Final = " (at end of document)"


class Contents(NamedTuple):
    """What a file of rules says."""

    rules: tuple[Rule, ...]
    fallback: Fallback
    folders: Folders


def read(text: str, name: str) -> Contents:
    """Return what a file of rules says.

    Raises:
        RulesError: Something is wrong with it; all of it is told.
    """
    content = _toml(text, name)
    complaints = Complaints(locate(text.replace("\r\n", "\n")))
    for key in content:
        if key not in _TABLES:
            complaints.unknown((key,), _TABLES, "table")
    classes = _storage_classes(content.get("storage_classes", []), complaints)
    rules = _rules(content.get("rule", []), classes, complaints)
    fallback = _fallback(content.get("fallback", {}), complaints)
    folders = _folders(content.get("folders", {}), complaints)
    if not content:
        complaints.add((), "there are no rules: begin one with [[rule]]")
    good = [rule for rule in rules if rule is not None]
    for later, earlier in shadowed(good):
        complaints.add(
            ("rule", later.index),
            f"it can never match: {earlier.label} (line {earlier.line}) takes all that it could",
            later.label,
        )
    if complaints.mistakes:
        raise RulesError(name, sorted(complaints.mistakes, key=lambda mistake: mistake.line))
    return Contents(tuple(good), fallback, folders)


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        if place := _PLACE.search(said):
            line, said = int(place[1]), said[: place.start()] + f" (column {place[2]})"
        else:
            line, said = (
                text.removesuffix("\n").count("\n") + 1,
                said.removesuffix(_AT_END) + " at the end of the file",
            )
        if "'\\'" in said or "escape" in said.lower():
            said += "; write expressions in single quotes: match = '\\d+'"
        raise RulesError(name, [Mistake(line, "", f"not TOML: {said}")]) from None
    except RecursionError:
        raise RulesError(name, [Mistake(1, "", "not TOML: nested too deeply")]) from None


def _storage_classes(value: object, complaints: Complaints) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) and name for name in value):
        return (*STORAGE_CLASSES, *value)
    complaints.add(("storage_classes",), 'storage_classes is no list of names: write ["TAPE"]')
    return STORAGE_CLASSES


def _rules(value: object, classes: tuple[str, ...], complaints: Complaints) -> list[Rule | None]:
    if isinstance(value, dict):
        complaints.add(("rule",), "[rule] is one table; rules are a list of them: write [[rule]]")
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        complaints.add(("rule",), "rule is no list of tables: begin each with [[rule]]")
        return []
    names: dict[str, int] = {}
    rules = []
    for index, entry in enumerate(value):
        rules.append(RuleReader(entry, index, classes, complaints).read())
        name = entry.get("name")
        if isinstance(name, str) and name:
            if name in names:
                complaints.add(
                    ("rule", index, "name"),
                    f"the rule in line {names[name]} has this name already",
                    label(index, name),
                )
            names.setdefault(name, complaints.line(("rule", index)))
    return rules


def _fallback(value: object, complaints: Complaints) -> Fallback:
    if not isinstance(value, dict):
        complaints.add(("fallback",), "fallback is no table: begin it with [fallback]")
        return Fallback()
    for key in value:
        if key not in _FALLBACK:
            complaints.unknown(("fallback", key), _FALLBACK, "key", "[fallback]")
    line = complaints.line(("fallback",)) if value else 0
    if "to" in value:
        to = value["to"]
        if "action" in value:
            complaints.add(("fallback", "action"), "both to and action: an object has one fate", "[fallback]")
        if not isinstance(to, str):
            complaints.add(("fallback", "to"), f"to is no text: {to!r}", "[fallback]")
            return Fallback()
        template, problems = parse_template(to, Scope())
        for problem in problems or flaws_of_destination(template):
            complaints.add(("fallback", "to"), f"to: {problem}", "[fallback]")
        return Fallback("to", to, line)
    try:
        return Fallback(one_of(value.get("action", "fail"), ("fail", "skip"), "action"), None, line)
    except ValueError as error:
        complaints.add(("fallback", "action"), f"action {error}", "[fallback]")
        return Fallback()


def _folders(value: object, complaints: Complaints) -> Folders:
    if not isinstance(value, dict):
        complaints.add(("folders",), "folders is no table: begin it with [folders]")
        return Folders()
    for key in value:
        if key not in _FOLDERS:
            complaints.unknown(("folders", key), _FOLDERS, "key", "[folders]")
    placeholder = value.get("placeholder", PLACEHOLDER)
    if not isinstance(placeholder, str) or flaws_of_folder(placeholder) or "/" in placeholder:
        complaints.add(
            ("folders", "placeholder"), f"placeholder is no name of an object: {placeholder!r}", "[folders]"
        )
    create = value.get("create", [])
    if not isinstance(create, list):
        complaints.add(
            ("folders", "create"), f'create is no list: write create = ["raw/"], not {create!r}', "[folders]"
        )
        return Folders()
    seen: list[str] = []
    for number, folder in enumerate(create):
        path = ("folders", "create", number)
        if not isinstance(folder, str):
            complaints.add(path, f"{folder!r} is no text", "[folders]")
            continue
        for flaw in flaws_of_folder(folder.removesuffix("/")):
            complaints.add(path, f"{folder!r}: {flaw}", "[folders]")
        slashed = folder.removesuffix("/") + "/"
        if slashed in seen:
            complaints.add(path, f"{folder!r} is there twice", "[folders]")
        seen.append(slashed)
    return Folders(
        tuple(seen), placeholder if isinstance(placeholder, str) else "", complaints.line(("folders",))
    )
