"""Load CSV, JSON and Parquet files into a table of DuckDB, or into one file; each row is accounted for.

haul ingest SOURCE              an object, a prefix/, a wildcard, a local path; the table is called after it
haul ingest SOURCE --schema     says what is in the columns, and loads nothing
haul ingest SOURCE --to FILE    writes one file instead: .parquet, .csv, .tsv or .csv.gz; - is CSV

Types are found over all rows: a column has the type that at least 99.9 % of its values have. Rows that do not
fit go to TABLE_rejects and to a file, with their line and the reason. More of them than --max-rejects, and
nothing is loaded: exit 1.

Everything is loaded in one transaction: killed half-way, the database is as it was. It remembers what was
loaded into a table, by URL and ETag. To load the same again does nothing; append and upsert take what is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import flags, ingest_embed, ingest_options
from haulyard.cli.ingest_options import Options

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from haulyard.cli.context import Context

_PEOPLE = "printf 'id,name\\n1,Ann\\n2,Bob\\n' | haul put - s3://demo/people.csv"
EXAMPLES = (
    f"{_PEOPLE}; haul ingest s3://demo/people.csv --db demo.duckdb",
    f"{_PEOPLE}; haul ingest s3://demo/people.csv --to people.parquet",
)

read = ingest_options.read

_TABLE = "the table"
_READING = "reading"


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="what is read")
    add(
        "--schema",
        action="store_true",
        help="print name, type, range and examples of each column; load nothing",
    )
    add("--validate", action="store_true", help="check credentials, region, access and format; load nothing")
    add("--to", default="", metavar="URL|FILE|-", help="write one file instead of a table")
    add("-r", "--recursive", action="store_true", help="what is below a prefix without slash")
    _configure_table(parser)
    _configure_reading(parser)
    ingest_embed.configure(parser)
    flags.add(parser, flags.MANIFEST, flags.CONNECTION, flags.OUTPUT, flags.PROGRESS)


def _configure_table(parser: ArgumentParser) -> None:
    add = parser.add_argument_group(_TABLE).add_argument
    add("--table", default="", metavar="NAME", help="its name, or schema.name; else that of the source")
    add(
        "--db",
        default="",
        metavar="FILE",
        help="the DuckDB file (haul.duckdb); it is made where there is none",
    )
    add(
        "--mode", default="create", choices=ingest_options.MODES, help="what becomes of a table that is there"
    )
    add("--key", default="", metavar="A,B", help="columns that tell rows apart, for --mode upsert")
    add("--force", action="store_true", help="load files again that were loaded before (append, upsert)")
    add(
        "--max-rejects",
        type=int,
        default=0,
        metavar="N",
        help="leave out up to N rows that do not fit (0: load nothing); -1 for any number",
    )
    add("--rejects", default="", metavar="FILE", help="where rows go that do not fit (TABLE_rejects.jsonl)")
    add("--memory-limit", default="", metavar="SIZE", help="memory for reading and for DuckDB (512MiB)")


def _configure_reading(parser: ArgumentParser) -> None:
    add = parser.add_argument_group(_READING).add_argument
    add("--columns", default="", metavar="A,B", help="take these columns, in this order")
    add("--where", default="", metavar="SQL", help="take the rows that this is true of: dep_delay > 60")
    add(
        "--schema-file",
        default="",
        metavar="FILE",
        help="types of all columns or some: what --schema --json prints, or JSON or TOML of names and types",
    )
    add(
        "--on-drift",
        default="fail",
        choices=ingest_options.DRIFTS,
        help="where files differ, or differ from the table: fail, widen types, or add columns as well",
    )
    add("--format", default="", choices=ingest_options.FORMATS, help="else by name, else by content")
    add("--compression", default="", choices=ingest_options.COMPRESSIONS, help="likewise")
    add("--encoding", default="", metavar="NAME", help="of text (UTF-8, or what a byte order mark says)")
    add("--delimiter", default="", metavar="CHAR", help="between fields of CSV: , ; | or tab")
    add("--quote", default='"', metavar="CHAR", help='around fields of CSV ("), none for none')
    add("--escape", default="", metavar="CHAR", help="before a quote in a field, where it is not doubled")
    add(
        "--header",
        action="store_const",
        const=True,
        dest="header",
        help="the first line of CSV has the names",
    )
    add("--no-header", action="store_const", const=False, dest="header", help="it has not")
    add("--names", default="", metavar="A,B", help="names of the columns, where there is no header")
    add("--null", action="append", default=[], metavar="TEXT", help="text that means null; may be repeated")
    add("--no-hive", action="store_false", dest="hive", help="make no columns of name=value/ directories")


async def run(options: Options, context: Context) -> int:
    """Load, or look."""
    # pyarrow and DuckDB: what --help does not pay.
    from haulyard.cli import ingest_run

    return await ingest_run.ingest(options, context)


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
