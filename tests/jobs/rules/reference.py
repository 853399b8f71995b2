"""The slow and obvious way to place one object, for rules given as plain tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from haulyard.jobs.model import FALLBACK, Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import ObjectInfo

_FIELD = re.compile(r"\{\{|\}\}|\{(dir\}/|[^{}]*\})")


def place_one(
    tables: list[dict[str, Any]], info: ObjectInfo, now: float, tags: Mapping[str, str]
) -> tuple[int, int, str]:
    """Return rule, action and destination; without a rule the key goes to ``rest/``."""
    for index, table in enumerate(tables):
        searched = re.search(table["match"], info.key) if "match" in table else None
        match = searched if "match" in table else re.match(translate(table["glob"]), info.key)
        if match is None or not _meets(table, info, now, tags):
            continue
        if table.get("skip"):
            return index, Action.SKIPPED, ""
        return _judged(index, _expanded(table["to"], table, info, match))
    return _judged(FALLBACK, f"rest/{info.key}")


def _judged(index: int, text: str | None) -> tuple[int, int, str]:
    if text is None or not 0 < len(text.encode(errors="surrogatepass")) <= 1024:
        return index, Action.UNSAFE, ""
    return index, Action.ACT, text


def _meets(table: dict[str, Any], info: ObjectInfo, now: float, tags: Mapping[str, str]) -> bool:
    known = info.last_modified.timestamp() != 0
    age = now - info.last_modified.timestamp()
    days = {key: int(table[key].removesuffix("d")) * 86400 for key in ("older", "newer") if key in table}
    return (
        info.size > table.get("larger", -2)
        and ("smaller" not in table or 0 <= info.size < table["smaller"])
        and ("older" not in table or (known and age > days["older"]))
        and ("newer" not in table or (known and age <= days["newer"]))
        and ("storage_class_is" not in table or info.storage_class in table["storage_class_is"])
        and all(tags.get(key) == value for key, value in table.get("tags_are", {}).items())
    )


def _expanded(to: str, table: dict[str, Any], info: ObjectInfo, match: re.Match[str]) -> str | None:
    missing = False

    def value(field: re.Match[str]) -> str:
        nonlocal missing
        if field[0] in {"{{", "}}"}:
            return field[0][0]
        if field[0] == "{dir}/":
            return info.key[: info.key.rfind("/") + 1]
        name, _, spec = field[0][1:-1].partition(":")
        found = _value(name, spec, table, info, match)
        missing = missing or found is None
        return found or ""

    text = _FIELD.sub(value, to)
    return None if missing else text


def _value(name: str, spec: str, table: dict[str, Any], info: ObjectInfo, match: re.Match[str]) -> str | None:
    if "%" in spec and name in table.get("dates", {}):
        try:
            return datetime.strptime(match[name], table["dates"][name]).strftime(spec)  # noqa: DTZ007 -- as written
        except ValueError:
            return None
    if name in match.groupdict():
        return format(match[name], spec)
    if name == "last_modified":
        never = info.last_modified == datetime.fromtimestamp(0, UTC)
        return None if never else info.last_modified.strftime(spec)
    if name == "size":
        return format(info.size, spec) if info.size >= 0 else None
    base = info.key.split("/")[-1]
    dot = base.rfind(".")
    has = dot > 0 and base[:dot].strip(".") != ""
    fields = {
        "key": info.key,
        "name": base,
        "stem": base[:dot] if has else base,
        "ext": base[dot + 1 :] if has else "",
        "suffix": base[dot:] if has else "",
        "dir": "/".join(info.key.split("/")[:-1]),
        "etag": info.etag or None,
    }
    text = fields[name]
    return None if text is None else format(text, spec)
