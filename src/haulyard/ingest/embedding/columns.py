"""Which column is embedded, and what the column of the vectors is called. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.ingest.embedding.model import Embedding

#: Columns that an error names at most.
_NAMED = 20


def chosen_columns(columns: Mapping[str, bool], embedding: Embedding) -> tuple[str, str]:
    """Return the column of the texts and that of the vectors.

    ``columns`` are all of the table, each with whether it holds text. As in SQL, case makes no difference.

    Raises:
        ConfigError: The column is none, or holds no text; or none is named, and there is not exactly one of
            text; or the vectors would take the name of another column.
    """
    texts = [name for name, is_text in columns.items() if is_text]
    column = _named(columns, texts, embedding.column) if embedding.column else _only(texts)
    into = embedding.into or f"{column}_embedding"
    if (taken := _found(columns, into)) is not None:
        raise ConfigError(
            f"the vectors cannot go into {into!r}: the table has a column {taken!r} already",
            hint="give them another name: Embedding(into='NAME')",
        )
    return column, into


def _found(columns: Mapping[str, bool], name: str) -> str | None:
    if name in columns:
        return name
    return next((each for each in columns if each.lower() == name.lower()), None)


def _named(columns: Mapping[str, bool], texts: list[str], asked: str) -> str:
    name = _found(columns, asked)
    if name is None:
        near = nearest(asked, list(columns))
        raise ConfigError(
            f"there is no column {asked!r} to embed",
            hint=f"did you mean {near!r}?" if near else _listed(texts),
        )
    if not columns[name]:
        raise ConfigError(f"column {name!r} holds no text to embed", hint=_listed(texts))
    return name


def _only(texts: list[str]) -> str:
    if not texts:
        raise ConfigError(
            "there is no column of text to embed",
            hint="haul ingest --schema, or haulyard.describe_table, shows the types",
        )
    if len(texts) > 1:
        raise ConfigError(
            f"{len(texts)} columns hold text, and which one to embed is not said",
            hint=f"write Embedding(column=) with one of them: {_enumerated(texts)}",
        )
    return texts[0]


def _listed(texts: list[str]) -> str:
    return f"text is in {_enumerated(texts)}" if texts else "no column holds text"


def _enumerated(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
