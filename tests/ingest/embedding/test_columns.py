"""Which column is embedded is never guessed among several."""

from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.ingest.embedding.columns import chosen_columns
from haulyard.ingest.embedding.model import Embedding

COLUMNS = {"id": False, "Text": True, "city": True}


def test_the_only_column_of_text_is_taken() -> None:
    assert chosen_columns({"id": False, "body": True}, Embedding("m")) == ("body", "body_embedding")


def test_a_name_is_found_whatever_its_case_as_in_sql() -> None:
    assert chosen_columns(COLUMNS, Embedding("m", "TEXT", "v")) == ("Text", "v")


@pytest.mark.parametrize(
    ("columns", "embedding", "says", "hint"),
    [
        (COLUMNS, Embedding("m"), "2 columns hold text", "Text, city"),
        ({"id": False}, Embedding("m"), "no column of text", "--schema"),
        (COLUMNS, Embedding("m", "Texts"), "no column 'Texts'", "'Text'"),
        (COLUMNS, Embedding("m", "zzz"), "no column 'zzz'", "Text, city"),
        (COLUMNS, Embedding("m", "id"), "'id' holds no text", "Text, city"),
        (COLUMNS, Embedding("m", "Text", "ID"), "has a column 'id' already", "Embedding(into="),
        ({f"c{n}": True for n in range(5000)}, Embedding("m"), "5000 columns", "c19 and 4980 more"),
    ],
)
def test_what_is_not_clear_is_said(
    columns: dict[str, bool], embedding: Embedding, says: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        chosen_columns(columns, embedding)
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "fields", [{"model": ""}, {"batch": 0}, {"batch": 2049}, {"dimensions": -1}, {"max_in_flight": 0}]
)
def test_an_embedding_that_cannot_be_meant_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Embedding(**{"model": "m", **fields})  # type: ignore[arg-type]
