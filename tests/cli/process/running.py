"""Running `haul process`, and looking at what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cli.conftest import Box, Result

    from haulyard.testing.api import ApiServer

PEOPLE = b"id,name\n1,Ann\n2,Bob\n3,Cid\n"
ANN, BOB, CID = {"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}, {"id": "3", "name": "Cid"}
SECRET = "hunter2"


def sent(api: ApiServer) -> list[Any]:
    return [call.json() for call in api.calls]


def run(haul: Box, api: ApiServer, *words: str, source: str = "s3://b/in/people.csv") -> Result:
    return haul("process", source, "--to", f"{api.url}/people", "--rate-limit-calls", "0", *words)


def jobs(haul: Box) -> list[str]:
    where = haul.cwd / ".haul" / "jobs"
    return sorted(path.name for path in where.iterdir()) if where.exists() else []


def everything_written(haul: Box) -> str:
    """Return what all files below the current directory hold."""
    files = [path for path in haul.cwd.rglob("*") if path.is_file() and path.name != ".env"]
    return "".join(path.read_bytes().decode("latin-1") for path in files)


def complete(api: ApiServer) -> dict[str, str]:
    return {"S3_BUCKET": "b", "S3_KEY": "in/people.csv", "API_ENDPOINT": api.url}
