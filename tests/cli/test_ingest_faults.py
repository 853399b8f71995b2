"""How `haul ingest` ends where the store, or somebody, stops it: the database is as it was."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from haulyard import Client, S3RateLimit, load_table, read_table
from haulyard.pacing.budget import ThrottlePatience
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from tests.cli.conftest import Box, Result

URL = "s3://bucket/people.csv"
PEOPLE = b"id,name\n" + b"".join(b"%d,somebody\n" % number for number in range(50_000))


@pytest.fixture
def real(haul: Box, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A command line with real connections, in a directory of its own, that has a table already."""
    monkeypatch.chdir(haul.cwd)
    haul.real = True
    haul.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HAUL_RETRIES": "1"}
    with duckdb.connect("haul.duckdb") as connection:
        connection.execute("CREATE TABLE people AS SELECT 7 AS id, 'old' AS name")
    return haul


def _ingest(haul: Box, server: FaultServer, *more: str) -> Result:
    server.objects["bucket", "people.csv"] = PEOPLE
    return haul("ingest", URL, "--mode", "replace", "--endpoint-url", server.url, *more)


def _is_as_it_was() -> bool:
    with duckdb.connect("haul.duckdb") as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return tables == [("people",)] and connection.execute("FROM people").fetchall() == [(7, "old")]


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ({"status": 403}, 3, "s3:GetObject"),
        ({"status": 500}, 5, "500"),
        ({"status": 404, "body": error_xml("NoSuchKey")}, 4, "people.csv"),
        ({"reset_after": 0}, 5, "people.csv"),
    ],
)
def test_what_the_store_refuses_ends_in_its_code(
    real: Box, fault: dict[str, Any], code: int, told: str
) -> None:
    with FaultServer(Fault("GetObject", attempts="all", **fault)) as server:
        result = _ingest(real, server)
    assert result.code == code, result.err
    assert told in result.err
    assert _is_as_it_was()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for milliseconds of throttling instead of five minutes."""
    monkeypatch.setattr("haulyard.s3.layers.retry.ThrottlePatience", lambda: ThrottlePatience(0.005))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_throttling_without_end_is_temporary(real: Box, operation: str) -> None:
    with FaultServer(Fault(operation, attempts="all", status=503, body=error_xml("SlowDown"))) as server:
        result = _ingest(real, server)
    assert result.code == 5, result.err
    # The answer to a HEAD has no body, and so no code of its own.
    code = "ServiceUnavailable" if operation == "HeadObject" else "SlowDown"
    assert f"({code}, status 503)" in result.err
    assert "the store asks for fewer requests" in result.err
    assert _is_as_it_was()


@pytest.mark.usefixtures("impatient")
def test_throttling_without_end_is_an_error_of_its_own_in_python(real: Box) -> None:
    fault = Fault("GetObject", attempts="all", status=503, body=error_xml("SlowDown"))
    with FaultServer(fault) as server:
        server.objects["bucket", "people.csv"] = PEOPLE
        settings: Any = {"endpoint_url": server.url, "access_key": "a", "secret_key": "b"}
        with Client(**settings, state_dir=str(real.cwd)) as client:
            with pytest.raises(S3RateLimit) as caught:
                load_table(URL, mode="replace", client=client)
            with pytest.raises(S3RateLimit):
                read_table(URL, client=client)
    assert (caught.value.code, caught.value.key) == ("SlowDown", "people.csv")
    assert _is_as_it_was()


def test_a_store_that_fails_once_is_asked_again(real: Box) -> None:
    real.environ["HAUL_RETRIES"] = "3"
    with FaultServer(Fault("GetObject", status=503), Fault("GetObject", truncate=1000)) as server:
        result = _ingest(real, server)
    assert result.code == 0, result.err
    assert "50,000 rows read = 50,000 loaded + 0 rejected" in result.out


def test_an_object_that_is_replaced_meanwhile_is_not_mixed_with_the_old_one(real: Box) -> None:
    with FaultServer(Fault("GetObject", change_etag=True)) as server:
        result = _ingest(real, server)
    assert result.code == 1
    assert "was replaced since it was listed" in result.err
    assert _is_as_it_was()


def test_ctrl_c_leaves_the_table_as_it_was(real: Box) -> None:
    def interrupt(_: object) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return True

    with FaultServer(Fault("GetObject", stall=True, where=interrupt)) as server:
        result = _ingest(real, server)
    assert result.code == 130
    assert "nothing was loaded; the same command begins again" in result.err
    assert _is_as_it_was()


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (Fault("GetObject", attempts="all", status=403), 3, "s3:GetObject"),
        (Fault("HeadObject", attempts="all", status=404), 4, "people.csv"),
        (Fault("HeadBucket", attempts="all", status=404), 4, "bucket"),
    ],
)
def test_validation_ends_in_the_code_of_what_is_wrong(real: Box, fault: Fault, code: int, told: str) -> None:
    with FaultServer(fault) as server:
        result = _ingest(real, server, "--validate")
    assert result.code == code, result.out
    _, failed, after = result.out.partition("  failed ")
    assert failed
    assert told in after
    assert _is_as_it_was()
