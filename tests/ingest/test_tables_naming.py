from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.ingest.tables import TableName
from haulyard.ingest.tables_naming import table_for


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("s3://b/in/flights.csv", "flights"),
        ("s3://b/in/2013-flights.csv.gz", "t_2013_flights"),
        ("flights.ndjson.zst", "flights"),
        ("s3://b/in/flights/", "flights"),
        ("s3://b/in/flights/dt=2026-01-01/", "flights"),
        ("s3://b/sales/dt=*/part-*.parquet", "sales"),
        ("s3://b/in/*.parquet", "t_in"),
        ("s3://my-bucket", "my_bucket"),
        ("https://b.s3.eu-west-1.amazonaws.com/x/sales%202026.csv", "sales_2026"),
        ("./data/order.csv", "t_order"),
        ("v1.2/a.b.csv", "a_b"),
        ("données.csv", "donn_es"),
    ],
)
def test_a_table_is_called_after_its_source(source: str, name: str) -> None:
    assert str(table_for([source])) == name


def test_several_sources_of_one_name_give_it() -> None:
    assert str(table_for(["s3://a/flights.csv", "s3://b/flights.parquet"])) == "flights"


@pytest.mark.parametrize("sources", [["a.csv", "b.csv"], ["*.csv"], ["-"], ["---.csv"]])
def test_no_name_is_guessed(sources: list[str]) -> None:
    with pytest.raises(ConfigError, match="name"):
        table_for(sources)


@pytest.mark.parametrize("text", ["", "a.b.c", ".b", "a.", "haulyard.x", "a\nb"])
def test_a_name_is_one_or_has_a_schema(text: str) -> None:
    with pytest.raises(ConfigError):
        TableName.parse(text)


def test_names_are_quoted_in_statements() -> None:
    assert TableName.parse('a "b".c').sql == '"a ""b"""."c"'
    assert TableName.parse("raw.t").rejects.sql == '"raw"."t_rejects"'
