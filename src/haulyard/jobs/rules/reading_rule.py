"""One ``[[rule]]``, read and judged."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Final, TypeVar

from haulyard.config.suggest import nearest
from haulyard.jobs.rules.changes import HEADERS
from haulyard.jobs.rules.conditions import Conditions
from haulyard.jobs.rules.destinations import flaws_of_destination
from haulyard.jobs.rules.given import age, one_of, size
from haulyard.jobs.rules.reading_properties import PROPERTIES, PropertiesReader
from haulyard.jobs.rules.rule import Rule, label
from haulyard.jobs.rules.shapes import study_expression
from haulyard.jobs.rules.template import FIELDS, Declared, Scope, flaw_of_format, parse_template
from haulyard.jobs.rules.values import flaw_of_tag_key, flaw_of_tag_value, has_control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.jobs.rules.mistakes import Complaints

_T = TypeVar("_T")

_CONDITIONS: Final = ("larger", "smaller", "older", "newer", "storage_class_is", "tags_are")
KEYS: Final = ("name", "match", "glob", "dates", *_CONDITIONS, "skip", "to", *PROPERTIES)
#: What other tools call these things.
_ELSEWHERE: Final = {
    "regex": "match",
    "pattern": "match",
    "destination": "to",
    "dest": "to",
    "target": "to",
    "min_size": "larger",
    "max_size": "smaller",
    "min_age": "older",
    "max_age": "newer",
    "kms_key_id": "sse_kms_key_id",
    "encryption": "sse",
    "headers": HEADERS[0],
}


class RuleReader:
    """Reads the table of one rule; what is wrong goes to ``complaints``."""

    def __init__(
        self, table: Mapping[str, Any], index: int, classes: tuple[str, ...], complaints: Complaints
    ) -> None:
        self._table = table
        self._index = index
        self._classes = classes
        self._complaints = complaints
        self._label = label(index, table.get("name"))

    def complain(self, text: str, *path: str | int) -> None:
        """Note a mistake in what ``path`` names within the rule."""
        self._complaints.add(("rule", self._index, *path), text, self._label)

    def read(self) -> Rule | None:
        """Return the rule, None where it is so wrong that others cannot be compared with it."""
        for key in self._table:
            if key not in KEYS:
                self._unknown(key)
        name = self._text("name") or ""
        if "name" in self._table and (not name or has_control(name)):
            self.complain("name is empty, or no text of one line", "name")
        scope = self._pattern()
        known = scope is not None
        scope = self._dates(scope or Scope())
        conditions = self._conditions()
        to = self._text("to")
        if known and to is not None:
            template, problems = parse_template(to, scope)
            for problem in problems or flaws_of_destination(template):
                self.complain(f"to: {problem}", "to")
        skip = self._flag("skip")
        properties = PropertiesReader(self._table, self, self._classes, scope if known else None).read()
        if skip and (useless := [key for key in ("to", *properties.names()) if key in self._table]):
            self.complain(f"skip leaves objects alone: {', '.join(useless)} would do nothing", "skip")
        if not known:
            return None
        path = ("rule", self._index)
        return Rule(
            index=self._index,
            line=self._complaints.line(path),
            name=name,
            match=self._table.get("match"),
            glob=self._table.get("glob", ""),
            dates=scope.dates,
            conditions=conditions,
            skip=skip,
            to=to,
            properties=properties,
            lines={key: self._complaints.line((*path, key)) for key in self._table},
        )

    def _unknown(self, key: str) -> None:
        near = nearest(key.lower(), KEYS) or _ELSEWHERE.get(key.lower(), "")
        hint = f"did you mean {near}?" if near else "there are " + ", ".join(KEYS)
        self.complain(f"unknown key {key!r}, {hint}", key)

    def _text(self, key: str) -> str | None:
        value = self._table.get(key)
        if value is not None and not isinstance(value, str):
            self.complain(f"{key} is no text: {value!r}", key)
            return None
        return value

    def _flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            self.complain(f"{key} is neither true nor false: {value!r}", key)
        return value is True

    def _pattern(self) -> Scope | None:
        """Return the groups of the pattern, None where there is no usable one."""
        given = [key for key in ("match", "glob") if key in self._table]
        if not given:
            self.complain('neither match nor glob says which keys it takes; glob = "*" takes all')
            return None
        if len(given) > 1:
            self.complain("both match and glob: keep one of them", "glob")
            return None
        text = self._text(given[0])
        if text is None:
            return None
        if given == ["glob"]:
            if not text:
                self.complain('glob is empty and takes nothing; "*" takes all', "glob")
            return Scope() if text else None
        return self._expression(text)

    def _expression(self, text: str) -> Scope | None:
        try:
            with warnings.catch_warnings():
                # What may mean something else in a later Python is better written unmistakably now.
                warnings.simplefilter("error")
                expression = re.compile(text)
        except re.error as error:
            at = f" at character {error.pos + 1}" if error.pos is not None else ""
            self.complain(f"match is no regular expression: {error.msg}{at} of {text!r}", "match")
        except (Warning, OverflowError, RecursionError) as error:
            self.complain(f"match is no regular expression that can be used: {error}", "match")
        else:
            return Scope(dict(expression.groupindex), study_expression(text).optional)
        return None

    def _dates(self, scope: Scope) -> Scope:
        given = self._table.get("dates", {})
        if not isinstance(given, dict):
            self.complain('dates is no table: write dates = { day = "%Y%m%d" }', "dates")
            return scope
        dates = {}
        for name, value in given.items():
            declared = self._date(name, value, scope)
            if declared is not None:
                dates[name] = declared
        return scope._replace(dates=dates)

    def _date(self, name: str, value: object, scope: Scope) -> Declared | None:
        where = ("dates", name)
        if isinstance(value, str):
            value = {"group": name, "format": value}
        if not isinstance(value, dict) or set(value) != {"group", "format"}:
            self.complain(f'date {name}: write {name} = {{ group = "…", format = "%Y%m%d" }}', *where)
            return None
        group, form = value["group"], value["format"]
        if not isinstance(group, str) or not isinstance(form, str):
            self.complain(f"date {name}: group and format are texts", *where)
            return None
        if name in FIELDS or not name.isidentifier():
            self.complain(f"date {name!r}: this cannot be the name of a date", *where)
        elif name in scope.groups and group != name:
            self.complain(f"date {name}: a group has this name, but the date is read from {group!r}", *where)
        if group not in scope.groups:
            near = nearest(group, scope.groups)
            hint = f", did you mean {near!r}?" if near else ""
            self.complain(f"date {name}: the pattern has no group {group!r}{hint}", *where)
        elif group in scope.optional:
            self.complain(f"date {name}: group {group!r} takes no part in some matches", *where)
        if flaw := flaw_of_format(form):
            self.complain(f"date {name}: format {form!r}: {flaw}", *where)
            form = "%Y"
        return Declared(group, form)

    def _conditions(self) -> Conditions:
        conditions = Conditions(
            larger=self._given("larger", size),
            smaller=self._given("smaller", size),
            older=self._given("older", age),
            newer=self._given("newer", age),
            storage_classes=self._classes_asked(),
            tags=self._tags_asked(),
        )
        if contradiction := conditions.contradiction():
            key = next(key for key in ("smaller", "newer") if key in self._table)
            self.complain(f"it can never match: {contradiction}", key)
        return conditions

    def _given(self, key: str, understand: Callable[[object], _T]) -> _T | None:
        if key not in self._table:
            return None
        try:
            return understand(self._table[key])
        except ValueError as error:
            self.complain(f"{key} {error}", key)
            return None

    def _classes_asked(self) -> frozenset[str]:
        value = self._table.get("storage_class_is", [])
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or (not names and "storage_class_is" in self._table):
            self.complain(
                f'storage_class_is is no list of names: write ["GLACIER"], not {value!r}', "storage_class_is"
            )
            return frozenset()
        found = set()
        for name in names:
            try:
                found.add(one_of(name, self._classes, "storage class"))
            except ValueError as error:
                self.complain(f"storage_class_is {error}", "storage_class_is")
        return frozenset(found)

    def _tags_asked(self) -> dict[str, str]:
        value = self._table.get("tags_are", {})
        if not isinstance(value, dict):
            self.complain('tags_are is no table: write { team = "data" }', "tags_are")
            return {}
        for key, text in value.items():
            flaw = "its value is no text" if not isinstance(text, str) else flaw_of_tag_value(text)
            # Those of AWS's own can be asked for, though not be set.
            if flaw := flaw or ("" if key.lower().startswith("aws:") else flaw_of_tag_key(key)):
                self.complain(f"tags_are {key!r}: {flaw}", "tags_are", key)
        return {key: text for key, text in value.items() if isinstance(text, str)}
