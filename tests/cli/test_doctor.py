"""`haul doctor` on servers that work, that refuse, and that are not there."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from haulyard.cli import exits, reach, surroundings
from haulyard.stores import diagnosis
from haulyard.stores.access.record import EndpointRecord
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.cli.conftest import Box, Result
    from tests.conftest import Server

SECRET = "not-to-be-shown-anywhere"
OPENSSL = shutil.which("openssl")
NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def real(haul: Box) -> Box:
    """A box with real connections, made-up keys and a state directory of its own."""
    haul.real = True
    haul.environ |= {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE12",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "HAUL_STATE_DIR": str(haul.cwd / "state"),
        "HAUL_RETRY_BASE_DELAY": "0",
    }
    return haul


@pytest.fixture
def on(real: Box, bucket_name: Callable[[], str]) -> Callable[[Server], str]:
    """Points the box to a server and returns the name of a new bucket there."""

    def point(server: Server) -> str:
        real.environ |= {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }
        bucket = bucket_name()
        assert real("mb", f"s3://{bucket}").code == 0
        return bucket

    return point


def checks(result: Result) -> dict[str, Mapping[str, str]]:
    return {event["check"]: event for event in result.events if event["event"] == "check"}


def states(result: Result) -> dict[str, str]:
    return {name: check["state"] for name, check in checks(result).items()}


def diagnosed(real: Box, server: FaultServer, *words: str) -> Result:
    return real("doctor", "--json", "--endpoint-url", server.url, *words)


def test_a_store_where_all_is_well_ends_in_0_and_nothing_stays_behind(
    real: Box, on: Callable[[Server], str], seaweedfs: Server
) -> None:
    bucket = on(seaweedfs)
    result = real("doctor", f"s3://{bucket}/team")
    assert (result.code, result.err) == (exits.OK, "")
    for section in ("settings", "credentials", "network", "bucket", "permissions", "capabilities"):
        assert f"\n{section}\n" in f"\n{result.out}"
    assert "\nNo problem in " in result.out
    assert seaweedfs.secret_key not in result.out
    assert seaweedfs.access_key not in result.out
    assert real("ls", "-r", f"s3://{bucket}").out == ""


def test_json_tells_each_check_and_what_they_come_to(
    real: Box, on: Callable[[Server], str], seaweedfs: Server
) -> None:
    result = real("doctor", f"s3://{on(seaweedfs)}", "--json")
    found = states(result)
    assert found["keys"] == found["clock"] == found["latency"] == found["PutObject"] == "ok"
    assert found["identity"] == found["tls"] == "skipped"
    assert found["ordered listings"] == "no"
    last = result.events[-1]
    assert (last["event"], last["failed"], last["missing"], last["exit_code"]) == ("diagnosis", 0, [], 0)
    assert last["checks"] == len(result.events) - 1


def test_what_is_remembered_of_an_endpoint_is_proved_anew(
    real: Box, on: Callable[[Server], str], seaweedfs: Server
) -> None:
    bucket = on(seaweedfs)
    record = EndpointRecord(real.environ["HAUL_STATE_DIR"], seaweedfs.endpoint_url)
    names = ("conditional_put", "conditional_copy", "conditional_delete", "conditional_batch_delete")
    record.write(dict.fromkeys((*names, "checksums", "ordered_listing"), True), datetime.now(UTC))
    assert states(real("doctor", f"s3://{bucket}", "--read-only", "--json"))["ordered listings"] == "ok"
    assert states(real("doctor", f"s3://{bucket}", "--json"))["ordered listings"] == "no"
    remembered = record.read(datetime.now(UTC))
    assert remembered is not None
    assert remembered["ordered_listing"] is False


def test_an_sts_of_the_stores_own_says_who_the_caller_is(
    real: Box, on: Callable[[Server], str], moto: Server
) -> None:
    bucket = on(moto)
    real.environ["AWS_ENDPOINT_URL_STS"] = moto.endpoint_url
    identity = checks(real("doctor", f"s3://{bucket}", "--json"))["identity"]
    assert identity["state"] == "ok"
    assert identity["arn"].startswith("arn:aws:sts::")


def test_a_denied_call_names_the_missing_action_and_ends_in_3(real: Box) -> None:
    with FaultServer(Fault("DeleteObject", attempts="all", status=403)) as server:
        text = real("doctor", "--endpoint-url", server.url, "s3://bucket/a/b")
        result = diagnosed(real, server, "s3://bucket/a/b")
    assert text.code == result.code == exits.DENIED
    denied = checks(result)["DeleteObject"]
    assert denied["state"] == "denied"
    assert denied["hint"] == "allow s3:DeleteObject on arn:aws:s3:::bucket/a/b/*"
    assert result.events[-1]["missing"] == ["s3:DeleteObject on arn:aws:s3:::bucket/a/b/*"]
    assert "Missing IAM actions:\n  s3:DeleteObject on arn:aws:s3:::bucket/a/b/*\n" in text.out
    assert states(result)["conditional writes"] == "unknown"


def test_a_bucket_that_may_not_be_looked_at_is_probed_all_the_same(real: Box) -> None:
    with FaultServer(Fault("HeadBucket", attempts="all", status=403)) as server:
        result = diagnosed(real, server, "s3://bucket")
    assert result.code == exits.OK
    assert states(result)["bucket"] == "unknown"
    assert states(result)["PutObject"] == "ok"


def test_a_missing_bucket_ends_in_4_and_is_not_probed(real: Box) -> None:
    with FaultServer() as server:
        result = diagnosed(real, server, "s3://nonesuch")
        assert {request.method for request in server.requests} == {"HEAD"}
    assert result.code == exits.NOT_FOUND
    assert states(result)["nonesuch"] == "failed"
    assert "haul mb" in checks(result)["nonesuch"]["hint"]


def test_keys_that_the_store_refuses_end_in_3(
    real: Box, on: Callable[[Server], str], seaweedfs: Server
) -> None:
    bucket = on(seaweedfs)
    real.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
    for words in ((f"s3://{bucket}",), ()):
        result = real("doctor", *words)
        assert result.code == exits.DENIED
        assert "SignatureDoesNotMatch" in result.out
        assert "AWS_SECRET_ACCESS_KEY" in result.out
        assert SECRET not in result.out


def test_without_keys_the_way_to_the_store_is_checked_all_the_same(real: Box) -> None:
    del real.environ["AWS_ACCESS_KEY_ID"], real.environ["AWS_SECRET_ACCESS_KEY"]
    with FaultServer() as server:
        result = diagnosed(real, server, "s3://bucket")
        without = diagnosed(real, server)
    assert result.code == without.code == exits.DENIED
    assert states(result)["keys"] == states(without)["keys"] == "failed"
    assert "AWS_ACCESS_KEY_ID" in checks(result)["keys"]["hint"]
    assert states(result)["latency"] == states(without)["latency"] == "ok"
    assert "there are no credentials" in checks(result)["the rest"]["detail"]


def test_unsigned_requests_are_tried_where_they_are_asked_for(real: Box) -> None:
    with FaultServer(authorize=lambda request: request.method in {"GET", "HEAD"}) as server:
        server.objects["bucket", "key"] = b"content"
        result = diagnosed(real, server, "s3://bucket", "--no-sign-request")
    assert result.code == exits.DENIED
    found = states(result)
    assert found["keys"] == "skipped"
    assert (found["GetObject"], found["PutObject"]) == ("ok", "denied")
    assert "PresignedUrl" not in found
    assert result.err == ""


def test_read_only_writes_nothing(real: Box) -> None:
    with FaultServer() as server:
        server.objects["bucket", "key"] = b"content"
        result = diagnosed(real, server, "s3://bucket", "--read-only")
        assert {request.method for request in server.requests} == {"GET", "HEAD"}
    assert result.code == exits.OK
    assert states(result)["GetObject"] == "ok"
    assert "PutObject" not in states(result)
    assert states(result)["ordered listings"] == "unknown"


def test_without_a_bucket_the_buckets_are_listed(real: Box) -> None:
    with FaultServer(buckets=("a", "b")) as server:
        result = diagnosed(real, server)
        server.script(Fault("ListBuckets", attempts="all", status=403))
        denied = diagnosed(real, server)
        server.script(Fault("ListBuckets", attempts="all", status=500))
        broken = diagnosed(real, server)
    assert result.code == denied.code == exits.OK
    assert checks(result)["ListBuckets"]["detail"] == "2 buckets"
    assert states(denied)["ListBuckets"] == "warning"
    assert (broken.code, states(broken)["ListBuckets"]) == (exits.TEMPORARY, "failed")


def test_nobody_listens(real: Box) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    result = real("doctor", "s3://bucket", "--endpoint-url", f"http://127.0.0.1:{port}", "--json")
    assert result.code == exits.TEMPORARY
    assert states(result)["dns"] == "ok"
    assert states(result)["connection"] == "failed"
    assert "the server cannot be reached" in checks(result)["the rest"]["detail"]


@pytest.mark.parametrize(("scheme", "step"), [("http", "answer"), ("https", "tls")])
def test_a_server_that_is_silent_is_given_up(
    real: Box, monkeypatch: pytest.MonkeyPatch, scheme: str, step: str
) -> None:
    monkeypatch.setattr(diagnosis, "_PATIENCE", 0.2)
    monkeypatch.setattr(reach, "PATIENCE", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        result = real("doctor", "s3://bucket", "--endpoint-url", url, "--json")
        assert time.monotonic() - started < 5
    assert result.code == exits.TEMPORARY
    assert states(result)[step] == "failed"


def test_a_name_that_does_not_exist(real: Box) -> None:
    result = real("doctor", "s3://bucket", "--endpoint-url", "http://nonesuch.invalid", "--json")
    assert result.code == exits.TEMPORARY
    assert states(result)["dns"] == "failed"
    assert "nonesuch.invalid" in checks(result)["dns"]["detail"]


def test_plain_http_behind_an_https_endpoint(real: Box) -> None:
    with FaultServer() as server:
        result = real("doctor", "--endpoint-url", server.url.replace("http", "https"), "--json")
    assert result.code == exits.TEMPORARY
    assert "http://" in checks(result)["tls"]["hint"]


def test_settings_that_contradict_each_other_end_in_2(real: Box) -> None:
    result = real("doctor", "s3://bucket", "--endpoint-url", "http://127.0.0.1:9", "--accelerate", "--json")
    assert result.code == exits.USAGE
    assert states(result) == {"endpoint": "failed"}


def test_something_else_than_a_bucket_is_refused(real: Box) -> None:
    result = real("doctor", "some/path")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "s3://bucket/some/path" in result.err


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [(30.0, "ok", "behind"), (-300.0, "warning", "5 min ahead"), (4000.0, "failed", "67 min behind")],
)
def test_a_clock_that_is_off_is_told(real: Box, seconds: float, state: str, said: str) -> None:
    with FaultServer(Fault("*", attempts="all", skew=seconds)) as server:
        result = diagnosed(real, server, "s3://bucket")
    clock = checks(result)["clock"]
    assert clock["state"] == state
    assert said in clock["detail"]
    assert result.code == (exits.DENIED if state == "failed" else exits.OK)
    # All else is checked in spite of it.
    assert states(result)["PutObject"] == "ok"


def test_the_region_that_a_bucket_names_is_told(real: Box) -> None:
    elsewhere = Fault("HeadBucket", attempts="all", headers={"x-amz-bucket-region": "eu-central-1"})
    with FaultServer(elsewhere) as server:
        assert checks(diagnosed(real, server, "s3://bucket"))["region"]["detail"] == "eu-central-1"


def test_an_sts_that_does_not_answer_is_a_warning(real: Box) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        real.environ["AWS_ENDPOINT_URL_STS"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with FaultServer() as server:
        result = diagnosed(real, server, "s3://bucket", "--read-only")
    assert result.code == exits.OK
    assert states(result)["identity"] == "warning"


def test_an_sts_that_refuses_the_keys_ends_in_3(real: Box) -> None:
    body = (
        "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>"
    )
    with FaultServer() as server, FaultServer(Fault("*", attempts="all", status=403, body=body)) as sts:
        real.environ["AWS_ENDPOINT_URL_STS"] = sts.url
        result = diagnosed(real, server, "s3://bucket", "--read-only")
    assert result.code == exits.DENIED
    assert states(result)["identity"] == "failed"


def test_credentials_that_take_forever_are_given_up(real: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_KEYS_PATIENCE", 0.05)
    late = threading.Event()
    monkeypatch.setattr(surroundings, "find_keys", lambda _: late.wait())
    with FaultServer() as server:
        result = diagnosed(real, server, "s3://bucket")
    late.set()
    assert result.code == exits.DENIED
    assert states(result)["keys"] == "failed"
    assert states(result)["latency"] == "ok"


def test_a_server_that_stops_answering_is_told(real: Box) -> None:
    with FaultServer(Fault("ListObjectsV2", attempts="all", reset_after=0)) as server:
        result = diagnosed(real, server, "s3://bucket")
    assert result.code == exits.TEMPORARY
    assert states(result)["every call"] == "failed"
    assert "no call could be made" in checks(result)["the rest"]["detail"]


def test_behind_a_proxy_only_the_requests_themselves_are_tried(
    real: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as server:
        monkeypatch.setenv("http_proxy", server.url)
        result = real("doctor", "--endpoint-url", "http://s3.invalid", "--json")
        assert server.requests
    found = states(result)
    assert found["dns"] == found["connection"] == found["tls"] == "skipped"
    assert found["answer"] == "ok"


class Trust(NamedTuple):
    """An authority, and a certificate for localhost that it signed, with its key."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    if OPENSSL is None:
        pytest.skip("openssl makes the certificates")
    at = tmp_path_factory.mktemp("tls")
    (at / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    for line in (
        f"req -x509 {new} -subj /O=Example -keyout ca.key -out ca.pem -days 40",
        f"req {new} -subj /CN=localhost -keyout key.pem -out request",
        "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 40 -extfile names -out srv.pem",
    ):
        subprocess.run([OPENSSL, *line.split()], check=True, capture_output=True, cwd=at)
    return Trust(at / "ca.pem", at / "srv.pem", at / "key.pem")


@pytest.fixture
def https(trust: Trust) -> Iterator[str]:
    """The URL of a store behind a certificate of an authority that nobody knows."""
    with FaultServer() as server, encrypted(trust, server.port) as port:
        yield f"https://localhost:{port}"


def test_an_unknown_authority_is_told(real: Box, https: str) -> None:
    result = real("doctor", "s3://bucket", "--endpoint-url", https, "--json")
    assert result.code == exits.TEMPORARY
    assert states(result)["tls"] == states(result)["answer"] == "failed"
    assert "--ca-bundle" in checks(result)["tls"]["hint"]


def test_an_authority_that_is_named_is_trusted(real: Box, https: str, trust: Trust) -> None:
    words = ("doctor", "s3://bucket", "--endpoint-url", https, "--ca-bundle", str(trust.authority))
    result = real(*words, "--json")
    assert result.code == exits.OK
    tls = checks(result)["tls"]
    assert tls["state"] == "ok"
    assert tls["detail"] == "TLSv1.3, localhost by Example, valid for 40 days"


def test_a_certificate_that_is_not_verified_is_a_warning(real: Box, https: str) -> None:
    result = real("doctor", "s3://bucket", "--endpoint-url", https, "--no-verify-ssl", "--json")
    assert (states(result)["tls"], states(result)["answer"]) == ("warning", "ok")


def test_a_bundle_that_cannot_be_read_ends_in_2(real: Box, https: str) -> None:
    result = real("doctor", "--endpoint-url", https, "--ca-bundle", "nonesuch.pem", "--json")
    assert result.code == exits.USAGE
    assert "nonesuch.pem" in checks(result)["tls"]["detail"]


@contextmanager
def encrypted(trust: Trust, port: int) -> Iterator[int]:
    """Listen with TLS and hand everything on to ``port``; yields the port that it listens on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust.certificate, trust.key)
    ready, ports = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def serve() -> None:
        loop.set_exception_handler(lambda *_: None)  # handshakes that the client gave up
        async with await asyncio.start_server(hand_on, "localhost", 0, ssl=context) as server:
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
