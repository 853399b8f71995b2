"""Small records jobs on disk, for the tests of what keeps them and what tells about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.journal.folder import JobFolder
from haulyard.records.ledger import Ledger
from haulyard.records.model import Address, Letter, SourceObject

if TYPE_CHECKING:
    from haulyard.records.ledger import Kept

START = 1_760_000_000.0


def make_job(directory: str, name: str = "job", **fields: Any) -> JobFolder:
    """Make the folder of a records job."""
    specification = {
        "kind": "records",
        "source": "s3://data/in/",
        "to": "https://api.example/v1?key=${API_KEY}",
        "created": START,
        "release": "0.1",
        **fields,
    }
    return JobFolder.create(directory, name, specification)


def sources(count: int, first: int = 1) -> list[SourceObject]:
    return [SourceObject(at, f"in/{at}.csv", at * 100, f'"e{at}"') for at in range(first, first + count)]


def make_ledger(folder: JobFolder, objects: int = 3) -> Ledger:
    """Make the ledger of a job, its objects listed."""
    ledger = Ledger.create(folder)
    ledger.add_objects(sources(objects))
    ledger.seal_objects()
    return ledger


def letter(row: int, number: int = 1, kind: str = "rejected", **fields: Any) -> Letter:
    """Return a dead letter at a row of the block at 0."""
    values = {"reason": "422 no such city", "record": b'{"city":"?"}', "line": row + 2, "attempts": 1}
    values |= {"status": 422, "answer": b'{"error":"no such city"}', "at": START + row}
    return Letter(Address(number, 0, row), 0, kind, **{**values, **fields})


def all_letters(ledger: Ledger, *, unresolved_only: bool = False) -> list[Kept]:
    return [each for page in ledger.letters(unresolved_only=unresolved_only) for each in page]
