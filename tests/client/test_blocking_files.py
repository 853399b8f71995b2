from __future__ import annotations

import csv
import gc
import io
import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from haulyard import Client, HaulError, NotFound, PreconditionFailed, S3PermissionError, StoreError
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB + 11)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        server.objects["bucket", "key"] = CONTENT
        yield server


@pytest.fixture
def scripted(server: FaultServer, settings: dict[str, Any]) -> Iterator[Client]:
    with Client(**{**settings, "endpoint_url": server.url}) as client:
        yield client


def gets(server: FaultServer) -> int:
    return sum(request.operation == "GetObject" for request in server.requests)


def test_reading_from_start_to_end_is_one_request(server: FaultServer, scripted: Client) -> None:
    with scripted.open("s3://bucket/key") as file:
        pieces = []
        while piece := file.read(100_000):
            pieces.append(piece)
    assert b"".join(pieces) == CONTENT
    assert gets(server) == 1
    with scripted.open("s3://bucket/key") as file:
        assert file.read() == CONTENT
        assert file.read() == b""
    assert gets(server) == 2


def test_a_jump_reads_there_and_little_more(server: FaultServer, scripted: Client) -> None:
    with scripted.open("s3://bucket/key") as file:
        assert isinstance(file, io.BufferedReader)
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert file.head.size == len(CONTENT)
        assert file.name == "key"
        assert file.seek(-5, io.SEEK_END) == len(CONTENT) - 5
        assert file.read(10) == CONTENT[-5:]
        assert file.seek(MIB) == MIB
        assert file.read(4) == CONTENT[MIB : MIB + 4]
        assert file.seek(2, io.SEEK_CUR) == MIB + 6
        assert file.read(4) == CONTENT[MIB + 6 : MIB + 10]
        assert file.tell() == MIB + 10
        file.seek(0)
        assert file.read() == CONTENT
    received = [request.headers.get("range", "") for request in server.requests]
    assert f"bytes={MIB}-{MIB + 256 * 1024 - 1}" in received


def test_reading_on_after_a_jump_fetches_more_at_a_time(server: FaultServer, scripted: Client) -> None:
    with scripted.open("s3://bucket/key") as file:
        file.seek(1)
        pieces = []
        while piece := file.read(50_000):
            pieces.append(piece)
    assert b"".join(pieces) == CONTENT[1:]
    assert gets(server) < 6


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.sampled_from("sre"), st.integers(0, len(CONTENT) + 10)), max_size=8))
def test_any_order_of_reading_gives_what_a_file_gives(scripted: Client, steps: list[tuple[str, int]]) -> None:
    expected = io.BytesIO(CONTENT)
    with scripted.open("s3://bucket/key") as file:
        for kind, number in steps:
            if kind == "s":
                assert file.seek(number) == expected.seek(number)
            elif kind == "e":
                assert file.seek(-min(number, len(CONTENT)), 2) == expected.seek(
                    -min(number, len(CONTENT)), 2
                )
            else:
                assert file.read(number) == expected.read(number)
            assert file.tell() == expected.tell()


def test_an_object_that_is_replaced_is_never_mixed(server: FaultServer, scripted: Client) -> None:
    with scripted.open("s3://bucket/key") as file:
        file.seek(5)
        assert file.read(1) == CONTENT[5:6]
        server.objects["bucket", "key"] = bytes(len(CONTENT))
        file.seek(2 * MIB)
        with pytest.raises(PreconditionFailed):
            file.read(1)


def test_a_range_is_a_file_of_its_own(scripted: Client) -> None:
    with scripted.open("s3://bucket/key", range=(100, 200)) as file:
        assert file.read() == CONTENT[100:200]
        assert file.seek(-10, io.SEEK_END) == 90
        assert file.read() == CONTENT[190:200]
    with scripted.open("s3://bucket/key", range=(-7, None)) as file:
        assert file.read(3) == CONTENT[-7:-4]
    with pytest.raises(StoreError, match="has nothing of its"):
        scripted.open("s3://bucket/key", range=(len(CONTENT), None))


def test_positions_that_do_not_exist(scripted: Client) -> None:
    with scripted.open("s3://bucket/key") as file:
        with pytest.raises(ValueError, match="before the start"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)
        assert file.seek(len(CONTENT) + 100) == len(CONTENT) + 100
        assert file.read() == file.read(1) == b""
    with pytest.raises(ValueError, match="closed file"):
        file.read()
    raw: Any = file.raw
    with pytest.raises(ValueError, match="closed file"):
        raw.readall()
    with pytest.raises(ValueError, match="closed file"):
        raw.readinto(bytearray(1))


def test_an_empty_object_has_nothing_to_read(server: FaultServer, scripted: Client) -> None:
    server.objects["bucket", "empty"] = b""
    with scripted.open("s3://bucket/empty") as file:
        assert file.read() == b""
    assert gets(server) == 0


def test_what_is_not_there_cannot_be_opened(scripted: Client) -> None:
    with pytest.raises(NotFound):
        scripted.open("s3://bucket/nothing")
    with pytest.raises(TypeError, match="only for writing"):
        scripted.open("s3://bucket/key", metadata={})  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="are for reading"):
        scripted.open("s3://bucket/key", "wb", version_id="1")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="is no mode"):
        scripted.open("s3://bucket/key", "a")  # type: ignore[call-overload]


def test_a_reader_outlives_its_client_without_an_error(settings: dict[str, Any], server: FaultServer) -> None:
    with Client(**{**settings, "endpoint_url": server.url}) as client:
        file = client.open("s3://bucket/key")
        file.read(1)
    with pytest.raises(HaulError, match="is closed"):
        file.read(MIB)
    file.close()


def test_the_standard_library_reads_and_writes_through_it(blocking: Client, bucket: str) -> None:
    with blocking.open(bucket + "a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.txt", b"1" * 100_000)
        archive.writestr("two.txt", b"2")
    with blocking.open(bucket + "a.zip") as source, zipfile.ZipFile(source) as archive:
        assert archive.namelist() == ["one.txt", "two.txt"]
        assert archive.read("one.txt") == b"1" * 100_000
    with blocking.open(bucket + "t.csv", "wb") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        csv.writer(text).writerows([["a", "b"], ["1", "é"]])
    with blocking.open(bucket + "t.csv") as source, io.TextIOWrapper(source, "utf-8", newline="") as text:
        assert list(csv.DictReader(text)) == [{"a": "1", "b": "é"}]


def test_a_writer_tells_its_result_and_where_it_is(blocking: Client, bucket: str) -> None:
    with blocking.open(bucket + "key", "wb", content_type="text/x") as file:
        assert isinstance(file, io.BufferedWriter)
        assert (file.writable(), file.readable()) == (True, False)
        assert file.write(b"12345") == 5
        assert file.tell() == 5
        assert file.name == bucket + "key"
    assert file.result.etag == blocking.head(bucket + "key").etag
    assert blocking.head(bucket + "key").content_type == "text/x"
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")


@pytest.mark.parametrize("size", [10, 20 * MIB])
def test_where_an_error_leaves_the_block_nothing_appears(
    server: FaultServer, scripted: Client, size: int
) -> None:
    def fail() -> None:
        with scripted.open("s3://bucket/new", "wb") as file:
            file.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(server.objects) == [("bucket", "key")]
    assert server.uploads == ()


def test_a_writer_that_nobody_closed_writes_nothing_and_says_so(
    server: FaultServer, scripted: Client
) -> None:
    files = [scripted.open("s3://bucket/new", "wb")]
    files[0].write(b"half")
    with pytest.warns(ResourceWarning, match="was never closed: nothing was written"):
        files.clear()
    gc.collect()
    assert list(server.objects) == [("bucket", "key")]


def test_a_failure_of_the_store_is_raised_and_ends_the_writing(server: FaultServer, scripted: Client) -> None:
    server.script(Fault("CreateMultipartUpload", attempts="all", status=403))

    def write_for_ever() -> None:
        with scripted.open("s3://bucket/new", "wb") as file:
            while True:
                file.write(bytes(MIB))

    with pytest.raises(S3PermissionError):
        write_for_ever()
    server.script(Fault("PutObject", attempts="all", status=403))
    file = scripted.open("s3://bucket/new", "wb")
    file.write(b"x")
    with pytest.raises(S3PermissionError):
        file.close()
    assert file.closed
    assert list(server.objects) == [("bucket", "key")]


def test_an_exclusive_write_replaces_nothing(blocking: Client, bucket: str) -> None:
    with blocking.open(bucket + "key", "xb") as file:
        file.write(b"first")
    again = blocking.open(bucket + "key", "xb")
    with pytest.raises(PreconditionFailed):
        again.close()
    assert blocking.get(bucket + "key") == b"first"


def test_a_wrapper_that_an_error_leaves_completes_nothing(server: FaultServer, scripted: Client) -> None:
    def fail() -> None:
        with scripted.open("s3://bucket/new", "wb") as file, io.TextIOWrapper(file) as text:
            text.write("half")
            raise ZeroDivisionError

    with pytest.warns(RuntimeWarning, match="while an error was handled"), pytest.raises(ZeroDivisionError):
        fail()
    assert list(server.objects) == [("bucket", "key")]


def test_a_file_may_be_written_while_an_older_error_is_handled(server: FaultServer, scripted: Client) -> None:
    try:
        int("no number")
    except ValueError:
        with scripted.open("s3://bucket/new", "wb") as file:
            file.write(b"whole")
    assert server.objects["bucket", "new"] == b"whole"


def test_a_close_whose_last_bytes_fail_completes_nothing(server: FaultServer, scripted: Client) -> None:
    file = scripted.open("s3://bucket/new", "wb")
    file.write(b"buffered")
    writer: Any = file._upload
    writer.write = lambda _data: 1 / 0
    with pytest.raises(ZeroDivisionError):
        file.close()
    assert file.closed
    assert list(server.objects) == [("bucket", "key")]
