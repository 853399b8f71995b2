from __future__ import annotations

import hashlib
import http.client
import socket
import time
from contextlib import contextmanager
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from haulyard.testing._connection import unsent
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 whatever"}
CONTENT = bytes(range(256)) * 8192  # 2 MiB
MUCH = CONTENT * 12  # more than the socket buffers on both sides hold


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """A connection that is kept open, with a word for each step of a request."""

    def __init__(self, server: FaultServer) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def start(self, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, SIGNED | named)

    def finish(self) -> Reply:
        response = self.connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        self.start(method, path, body, **headers)
        return self.finish()


@contextmanager
def serving(*faults: Fault, **options: Any) -> Iterator[tuple[FaultServer, Client]]:
    with FaultServer(*faults, **options) as server:
        client = Client(server)
        try:
            yield server, client
        finally:
            client.connection.close()


def read_all(connection: socket.socket) -> tuple[bytes, bool]:
    """Everything that arrives, and whether the connection was reset rather than closed."""
    received = bytearray()
    while True:
        try:
            piece = connection.recv(1 << 16)
        except ConnectionResetError:
            return bytes(received), True
        if not piece:
            return bytes(received), False
        received += piece


def raw(server: FaultServer, request: bytes) -> tuple[bytes, bool]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return read_all(connection)


def raw_get(server: FaultServer, path: str = "/bucket/key", *headers: str) -> tuple[bytes, bytes, bool]:
    """Head, body and whether the connection was reset, of a GET on a connection of its own."""
    lines = (f"GET {path} HTTP/1.1", "Authorization: x", *headers, "", "")
    received, was_reset = raw(server, "\r\n".join(lines).encode())
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body, was_reset


# Without a fault


def test_what_no_fault_concerns_works_as_in_s3() -> None:
    with serving(Fault("PutObject", key="other", status=500)) as (server, client):
        assert client.ask("PUT", "/bucket/a%20b/c+d", b"content").status == 200
        assert server.objects["bucket", "a b/c+d"] == b"content"
        assert client.ask("GET", "/bucket/a%20b/c+d").body == b"content"


def test_content_can_be_put_in_looked_at_and_taken_out_by_the_test() -> None:
    with serving(buckets=()) as (server, client):
        server.objects["made", "key"] = b"content"
        assert client.ask("GET", "/made/key").body == b"content"
        assert client.ask("PUT", "/made/a", b"", x_amz_meta_who="me").status == 200
        assert server.objects.stored("made", "a").headers["x-amz-meta-who"] == "me"
        assert list(server.objects) == [("made", "a"), ("made", "key")]
        assert ("made", "a") in server.objects
        assert len(server.objects) == 2
        del server.objects["made", "a"]
        assert client.ask("GET", "/made/a").status == 404


def test_a_connection_is_kept_until_the_client_asks_to_close_it() -> None:
    with serving() as (server, client):
        server.objects["bucket", "key"] = b"content"
        client.ask("GET", "/bucket/key")
        client.ask("HEAD", "/bucket/key")
        assert client.ask("GET", "/bucket/key", Connection="close").headers["Connection"] == "close"
        assert {request.connection for request in server.requests} == {1}


def test_requests_without_a_signature_are_denied() -> None:
    with FaultServer() as server:
        received, _ = raw(server, b"GET /bucket/key HTTP/1.0\r\n\r\n")
        assert b" 403 " in received
        assert b"AccessDenied" in received
        assert b" 404 " in raw(server, b"GET /bucket/key?X-Amz-Signature=0 HTTP/1.0\r\n\r\n")[0]


def test_who_may_come_in_can_be_decided_by_the_test() -> None:
    with serving(authorize=lambda request: request.bucket == "open", buckets=["open"]) as (_, client):
        assert client.ask("GET", "/bucket/key").status == 403
        assert client.ask("HEAD", "/open").status == 200


# What is recorded


def test_requests_are_recorded_as_they_came_on_the_wire() -> None:
    before = time.monotonic()
    with serving() as (server, client):
        client.ask("PUT", "/bucket/a%2Fb//c%20d?x-id=PutObject&empty", b"content", x_amz_meta_a="1")
        (request,) = server.requests
        assert (request.operation, request.bucket, request.key) == ("PutObject", "bucket", "a/b//c d")
        assert (request.method, request.path) == ("PUT", "/bucket/a%2Fb//c%20d")
        assert request.query == "x-id=PutObject&empty"
        assert request.parameters == {"x-id": "PutObject", "empty": ""}
        assert request.headers["x-amz-meta-a"] == "1"
        assert (request.body, request.body_length, request.complete) == (b"content", 7, True)
        assert request.body_sha256 == hashlib.sha256(b"content").hexdigest()
        assert before <= request.time <= time.monotonic()
        assert (request.attempt, request.connection, request.fault) == (1, 1, None)


def test_of_a_large_body_the_beginning_is_kept() -> None:
    with serving() as (server, client):
        client.ask("PUT", "/bucket/key", CONTENT)
        assert server.requests[0].body == CONTENT[:65536]
        assert server.requests[0].body_length == len(CONTENT)


def test_attempts_are_counted_for_each_request_by_itself() -> None:
    with serving() as (server, client):
        client.ask("GET", "/bucket/a")
        client.ask("GET", "/bucket/b")
        client.ask("GET", "/bucket/a?X-Amz-Signature=1")
        client.ask("GET", "/bucket/a", Range="bytes=0-1")
        client.ask("GET", "/bucket/a?versionId=1")
        client.ask("GET", "/bucket/a", Range="bytes=0-1")
        assert [request.attempt for request in server.requests] == [1, 1, 2, 1, 1, 2]


def test_waiting_returns_the_request_or_says_what_came_instead() -> None:
    with serving() as (server, client):
        client.ask("GET", "/bucket/a")
        client.ask("GET", "/bucket/a")
        assert server.wait_for(lambda request: request.key == "a").attempt == 1
        assert server.wait_for(lambda request: request.key == "a", count=2).attempt == 2
        with pytest.raises(TimeoutError, match="seen: GetObject bucket/a, GetObject bucket/a"):
            server.wait_for(lambda request: request.key == "b", timeout=0.01)


@pytest.mark.anyio
async def test_waiting_does_not_block_an_event_loop() -> None:
    with serving() as (server, client):
        client.start("GET", "/bucket/a")
        assert (await server.wait_for_async(lambda request: request.key == "a")).operation == "GetObject"
        client.finish()


# Which requests a fault hits


def test_a_fault_hits_one_attempt_of_each_request_unless_told_otherwise() -> None:
    with serving(Fault("GetObject", status=500)) as (server, client):
        server.objects["bucket", "a"] = server.objects["bucket", "b"] = b"content"
        paths = ["/bucket/a", "/bucket/a", "/bucket/b", "/bucket/b"]
        assert [client.ask("GET", path).status for path in paths] == [500, 200, 500, 200]


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault("GetObject", attempts=(2, 4), status=500), [200, 500, 200, 500]),
        (Fault("GetObject", attempts=range(2, 4), status=500), [200, 500, 500, 200]),
        (Fault(attempts="all", status=500), [500, 500, 500, 500]),
        (Fault(attempts="all", times=3, status=500), [500, 500, 500, 200]),
        (Fault("PutObject", attempts="all", status=500), [200, 200, 200, 200]),
        (Fault(bucket="other", attempts="all", status=500), [200, 200, 200, 200]),
        (Fault(key="other", attempts="all", status=500), [200, 200, 200, 200]),
        (Fault(bucket="bucket", key="key", attempts="all", status=500), [500, 500, 500, 500]),
        (Fault(where=lambda request: "range" in request.headers, status=500), [200, 200, 200, 200]),
    ],
)
def test_a_fault_hits_what_it_names(fault: Fault, statuses: list[int]) -> None:
    with serving(fault) as (server, client):
        server.objects["bucket", "key"] = b"content"
        assert [client.ask("GET", "/bucket/key").status for _ in statuses] == statuses
        assert [request.fault is fault for request in server.requests] == [s == 500 for s in statuses]


def test_the_first_fault_that_concerns_a_request_counts() -> None:
    with serving(Fault(key="key", status=500), Fault(attempts="all", status=503)) as (_, client):
        assert [client.ask("GET", "/bucket/key").status for _ in range(2)] == [500, 503]


def test_a_new_script_counts_from_one() -> None:
    with serving(Fault(status=500)) as (server, client):
        assert client.ask("GET", "/bucket/key").status == 500
        server.script(Fault(status=503))
        assert client.ask("GET", "/bucket/key").status == 503


# Answers from the script


@pytest.mark.parametrize(
    ("status", "code"), [(503, b"SlowDown"), (500, b"InternalError"), (409, b"ConditionalRequestConflict")]
)
def test_a_status_alone_is_answered_with_its_commonest_error(status: int, code: bytes) -> None:
    with serving(Fault("PutObject", status=status)) as (server, client):
        reply = client.ask("PUT", "/bucket/key", b"content")
        assert reply.status == status
        assert b"<Code>" + code + b"</Code>" in reply.body
        assert reply.headers["x-amz-request-id"]
        assert ("bucket", "key") not in server.objects


def test_status_headers_and_body_are_answered_as_written() -> None:
    fault = Fault(status=429, headers={"Retry-After": "7", "Date": None}, body="slow, please")
    with serving(fault) as (_, client):
        reply = client.ask("POST", "/records", b"{}")
        assert (reply.status, reply.body) == (429, b"slow, please")
        assert reply.headers["Retry-After"] == "7"
        assert reply.headers["Content-Length"] == "12"
        assert reply.headers["Date"] is None


def test_an_error_can_come_with_status_200() -> None:
    with serving(Fault("CopyObject", body=error_xml("InternalError", "again & again"))) as (_, client):
        reply = client.ask("PUT", "/bucket/key", x_amz_copy_source="/bucket/source")
        assert reply.status == 200
        assert b"<Error><Code>InternalError</Code><Message>again &amp; again</Message></Error>" in reply.body


def test_any_status_can_be_answered_without_a_body() -> None:
    with serving(Fault(status=200), Fault(attempts=(2,), status=503, body=b"")) as (_, client):
        assert [client.ask("GET", "/bucket/key")[::2] for _ in range(2)] == [(200, b""), (503, b"")]


def test_an_error_document_takes_further_elements() -> None:
    assert b"<Region>eu-west-1</Region></Error>" in error_xml(
        "AuthorizationHeaderMalformed", Region="eu-west-1"
    )


def test_headers_alone_change_the_genuine_answer() -> None:
    with serving(Fault("PutObject", headers={"ETag": None, "x-extra": "1"})) as (server, client):
        reply = client.ask("PUT", "/bucket/key", b"content")
        assert (reply.status, reply.headers["ETag"], reply.headers["x-extra"]) == (200, None, "1")
        assert server.objects["bucket", "key"] == b"content"


def test_an_answer_of_unknown_status_is_sent_all_the_same() -> None:
    with serving(Fault(status=799)) as (_, client):
        reply = client.ask("GET", "/bucket/key")
        assert (reply.status, b"Http799" in reply.body) == (799, True)


def test_no_body_follows_head() -> None:
    with serving(Fault("HeadObject", status=403)) as (server, client):
        server.objects["bucket", "key"] = b"content"
        assert client.ask("HEAD", "/bucket/key").body == b""
        assert client.ask("HEAD", "/bucket/key").headers["Content-Length"] == "7"
        assert {request.connection for request in server.requests} == {1}


def test_a_redirect_names_place_and_region() -> None:
    fault = Fault(redirect=(307, "http://127.0.0.2/bucket/key", {"x-amz-bucket-region": "eu-west-1"}))
    with serving(fault) as (_, client):
        reply = client.ask("GET", "/bucket/key")
        assert (reply.status, reply.headers["Location"]) == (307, "http://127.0.0.2/bucket/key")
        assert reply.headers["x-amz-bucket-region"] == "eu-west-1"
        assert b"TemporaryRedirect" in reply.body


def test_a_redirect_may_lack_its_place_as_in_s3() -> None:
    with serving(Fault(redirect=(301, None, {}))) as (_, client):
        reply = client.ask("GET", "/bucket/key")
        assert (reply.status, reply.headers["Location"]) == (301, None)
        assert b"PermanentRedirect" in reply.body


def test_before_carries_the_operation_out_and_loses_its_answer() -> None:
    with serving(Fault("PutObject", status=500, before=True)) as (server, client):
        assert client.ask("PUT", "/bucket/key", b"content").status == 500
        assert server.objects["bucket", "key"] == b"content"


# Connections that fail


def test_reset_after_nothing_comes_before_the_status_line() -> None:
    with serving(Fault(reset_after=0, attempts="all")) as (server, _):
        server.objects["bucket", "key"] = CONTENT
        assert raw_get(server) == (b"", b"", True)


@pytest.mark.parametrize("size", [1, 1000, 1_500_000])
def test_reset_after_some_bytes_delivers_exactly_these(size: int) -> None:
    with serving(Fault(reset_after=size)) as (server, _):
        server.objects["bucket", "key"] = CONTENT
        head, body, was_reset = raw_get(server)
        assert b"content-length: 2097152" in head
        assert body == CONTENT[:size]
        assert was_reset


def test_reset_beyond_the_body_comes_after_all_of_it() -> None:
    with serving(Fault(reset_after=100)) as (server, _):
        server.objects["bucket", "key"] = b"content"
        assert raw_get(server)[1:] == (b"content", True)


def test_a_reset_waits_until_the_client_has_the_bytes_before_it() -> None:
    with serving(Fault(reset_after=len(CONTENT))) as (server, _), socket.socket() as connection:
        server.objects["bucket", "key"] = CONTENT
        connection.settimeout(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /bucket/key HTTP/1.1\r\nAuthorization: x\r\n\r\n")
        server.wait_for(lambda request: request.key == "key")
        with pytest.raises(TimeoutError):
            server.settle(timeout=0.05)
        received, was_reset = read_all(connection)
        assert received.endswith(CONTENT)
        assert was_reset


def test_where_the_system_does_not_tell_nothing_counts_as_unsent() -> None:
    with open("/dev/null") as no_socket:
        assert unsent(no_socket.fileno()) == 0


@pytest.mark.parametrize("size", [0, 1000])
def test_truncate_closes_in_good_order_before_the_announced_end(size: int) -> None:
    with serving(Fault(truncate=size)) as (server, client):
        server.objects["bucket", "key"] = CONTENT
        head, body, was_reset = raw_get(server)
        assert b"content-length: 2097152" in head
        assert (body, was_reset) == (CONTENT[:size], False)
        server.script(Fault(truncate=size))
        client.start("GET", "/bucket/key")
        with pytest.raises(http.client.IncompleteRead):
            client.finish()


def test_a_written_answer_can_be_cut_too() -> None:
    with serving(Fault(body=b"0123456789", truncate=4)) as (server, _):
        assert raw_get(server)[1:] == (b"0123", False)


def test_close_without_answer_closes_in_good_order() -> None:
    with serving(Fault("PutObject", close_without_answer=True)) as (server, client):
        client.start("PUT", "/bucket/key", b"content")
        with pytest.raises(http.client.RemoteDisconnected):
            client.finish()
        assert server.requests[0].body_length == 7
        assert ("bucket", "key") not in server.objects


@pytest.mark.parametrize(
    "fault", [Fault(close_without_answer=True, before=True), Fault(reset_after=0, before=True)]
)
def test_an_operation_may_have_been_carried_out_before_its_connection_fails(fault: Fault) -> None:
    with serving(fault) as (server, client):
        client.start("PUT", "/bucket/key", b"content")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            client.finish()
        assert server.objects["bucket", "key"] == b"content"


def test_a_stale_connection_closes_when_the_next_request_arrives() -> None:
    with serving(Fault(stale=True, times=1, attempts="all")) as (server, client):
        assert client.ask("PUT", "/bucket/a", b"1").status == 200
        client.start("PUT", "/bucket/b", b"2")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            client.finish()
        assert ("bucket", "b") not in server.objects
        client.connection.close()
        assert client.ask("PUT", "/bucket/b", b"2").status == 200
        assert [request.connection for request in server.requests] == [1, 1, 2]


# Time


def test_a_delay_comes_before_the_answer() -> None:
    with serving(Fault(delay=0.05)) as (_, client):
        start = time.monotonic()
        assert client.ask("GET", "/bucket/key").status == 404
        # uvloop counts in milliseconds.
        assert time.monotonic() - start > 0.048


def test_a_stalled_request_is_carried_out_once_it_is_released() -> None:
    with serving(Fault("PutObject", key="key", stall=True)) as (server, client):
        client.start("PUT", "/bucket/key", b"late")
        request = server.wait_for(lambda request: request.key == "key")
        assert [*server.stalled] == [request]
        assert ("bucket", "key") not in server.objects
        server.release(request)
        assert client.finish().status == 200
        assert server.objects["bucket", "key"] == b"late"
        assert not server.stalled


def test_a_stalled_request_is_carried_out_though_its_client_has_left() -> None:
    with serving(Fault("PutObject", key="key", stall=True)) as (server, client):
        client.start("PUT", "/bucket/key", b"v1")
        server.wait_for(lambda request: request.key == "key")
        client.connection.close()
        assert client.ask("PUT", "/bucket/key", b"v2").status == 200
        server.release()
        server.settle()
        assert server.objects["bucket", "key"] == b"v1"


def test_settling_takes_as_long_as_something_is_under_way() -> None:
    with serving(Fault("PutObject", stall=True)) as (server, client):
        client.start("PUT", "/bucket/stalled", b"content")
        server.wait_for(lambda request: request.key == "stalled")
        server.settle()
        server.objects["bucket", "key"] = MUCH
        reader = Client(server)
        reader.start("GET", "/bucket/key")
        server.wait_for(lambda request: request.key == "key")
        with pytest.raises(TimeoutError):
            server.settle(timeout=0.01)
        assert reader.finish().body == MUCH
        server.settle()
        reader.connection.close()


@pytest.mark.anyio
async def test_settling_does_not_block_an_event_loop() -> None:
    with serving(Fault("PutObject", stall=True)) as (server, client):
        client.start("PUT", "/bucket/key", b"content")
        await server.wait_for_async(lambda request: request.key == "key")
        server.release()
        await server.settle_async()
        assert server.objects["bucket", "key"] == b"content"


def test_only_what_is_stalled_now_is_released() -> None:
    with serving(Fault("GetObject", stall=True)) as (server, client):
        server.release()
        client.start("GET", "/bucket/a")
        first = server.wait_for(lambda request: request.key == "a")
        second_client = Client(server)
        second_client.start("GET", "/bucket/b")
        second = server.wait_for(lambda request: request.key == "b")
        server.release(second)
        assert second_client.finish().status == 404
        second_client.connection.close()
        assert server.stalled == (first,)


def test_a_stall_can_carry_the_operation_out_before_it() -> None:
    with serving(Fault("PutObject", stall=True, before=True, status=500)) as (server, client):
        client.start("PUT", "/bucket/key", b"content")
        server.wait_for(lambda request: request.key == "key")
        server.release()
        assert client.finish().status == 500
        assert server.objects["bucket", "key"] == b"content"


def test_an_answer_that_was_made_before_a_stall_is_sent_after_it() -> None:
    with serving(Fault("GetObject", stall=True, before=True)) as (server, client):
        server.objects["bucket", "key"] = b"then"
        client.start("GET", "/bucket/key")
        server.wait_for(lambda request: request.key == "key")
        server.objects["bucket", "key"] = b"now"
        server.release()
        assert client.finish().body == b"then"


def test_a_body_can_stall_half_way() -> None:
    with serving(Fault("GetObject", stall_after=1000)) as (server, client):
        server.objects["bucket", "key"] = CONTENT
        client.start("GET", "/bucket/key")
        response = client.connection.getresponse()
        assert response.read(1000) == CONTENT[:1000]
        assert client.connection.sock is not None
        client.connection.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            response.read(1)
        server.release()
        response.close()


def test_the_rest_of_a_stalled_body_follows_the_release() -> None:
    with serving(Fault("GetObject", stall_after=1000)) as (server, client):
        server.objects["bucket", "key"] = CONTENT
        client.start("GET", "/bucket/key")
        server.wait_for(lambda request: request.key == "key")
        server.release()
        assert client.finish().body == CONTENT


def test_leaving_the_server_ends_what_is_stalled() -> None:
    with FaultServer(Fault(stall=True)) as server:
        client = Client(server)
        client.start("GET", "/bucket/key")
        server.wait_for(lambda request: request.key == "key")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.finish()
    client.connection.close()


def test_a_skewed_clock_refuses_requests_dated_by_a_true_one() -> None:
    def dated(seconds: float) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + seconds))

    with serving(Fault(skew=3600.0, attempts="all")) as (_, client):
        reply = client.ask("PUT", "/bucket/key", b"content", x_amz_date=dated(0))
        assert reply.status == 403
        assert b"RequestTimeTooSkewed" in reply.body
        ahead = parsedate_to_datetime(reply.headers["Date"]).timestamp() - time.time()
        assert 3590 < ahead < 3610
        assert client.ask("PUT", "/bucket/key", b"content", x_amz_date=dated(ahead)).status == 200
        assert client.ask("PUT", "/bucket/key", b"content").status == 200


def test_the_date_is_true_otherwise() -> None:
    with serving() as (_, client):
        sent = parsedate_to_datetime(client.ask("HEAD", "/bucket").headers["Date"]).timestamp()
        assert abs(sent - parsedate_to_datetime(formatdate(usegmt=True)).timestamp()) <= 2


# Request bodies that are not read to their end


def test_an_answer_can_come_in_the_middle_of_an_upload() -> None:
    fault = Fault("PutObject", read_request_body=1000, status=503)
    with serving(fault) as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                b"PUT /bucket/key HTTP/1.1\r\nAuthorization: x\r\nContent-Length: 99999\r\n\r\n"
            )
            connection.sendall(CONTENT[:2000])
            received, was_reset = read_all(connection)
        assert received.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in received
        assert not was_reset
        assert (server.requests[0].body_length, server.requests[0].complete) == (1000, False)


def test_a_client_that_goes_on_sending_still_gets_an_early_answer() -> None:
    with serving(Fault("PutObject", read_request_body=0, status=503)) as (_, client):
        assert client.ask("PUT", "/bucket/key", CONTENT).status == 503


def test_a_reset_can_come_in_the_middle_of_an_upload() -> None:
    with serving(Fault("PutObject", read_request_body=1000, reset_after=0)) as (server, client):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.ask("PUT", "/bucket/key", CONTENT)
        assert server.requests[0].body_length == 1000


def test_an_upload_stalled_half_way_is_complete_only_if_the_client_stays() -> None:
    with serving(Fault("PutObject", read_request_body=1000, stall=True)) as (server, client):
        client.start("PUT", "/bucket/stays", CONTENT[:5000])
        server.wait_for(lambda request: request.key == "stays")
        server.release()
        assert client.finish().status == 200
        assert server.objects["bucket", "stays"] == CONTENT[:5000]
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                b"PUT /bucket/leaves HTTP/1.1\r\nAuthorization: x\r\nContent-Length: 5000\r\n\r\n"
            )
            connection.sendall(CONTENT[:2000])
            server.wait_for(lambda request: request.key == "leaves")
        server.release()
        server.settle()
        assert ("bucket", "leaves") not in server.objects


def test_a_body_in_chunks_is_put_together() -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"4;note=1\r\ncont\r\n3\r\nent\r\n0\r\nTrailer: 1\r\n\r\n"
    with (
        serving() as (server, _),
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(head + body + head + body[:12])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert server.objects["bucket", "key"] == b"content"
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == (b"", False)
        assert [request.complete for request in server.requests] == [True, False]


def test_a_body_in_chunks_may_end_too_soon() -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving() as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head + b"4\r\ncont\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == (b"", False)
        assert len(server.objects) == 0
        assert (server.requests[0].body, server.requests[0].complete) == (b"cont", False)


def test_a_client_that_waits_to_send_its_body_is_told_to_continue() -> None:
    request = (
        b"PUT /bucket/key HTTP/1.1\r\nAuthorization: x\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n"
    )
    with serving(Fault("PutObject", attempts=(2,), read_request_body=0, status=503)) as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request)
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"content")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")


# Wrong content


@pytest.mark.parametrize(
    ("kind", "status", "content_range", "body"),
    [
        ("whole", 200, None, b"0123456789"),
        ("missing", 206, None, b"234"),
        ("wrong", 206, "bytes 3-5/10", b"234"),
    ],
)
def test_a_range_is_answered_wrongly(kind: Any, status: int, content_range: str | None, body: bytes) -> None:
    with serving(Fault("GetObject", wrong_range=kind)) as (server, client):
        server.objects["bucket", "key"] = b"0123456789"
        wrong = client.ask("GET", "/bucket/key", Range="bytes=2-4")
        assert (wrong.status, wrong.headers["Content-Range"], wrong.body) == (status, content_range, body)
        right = client.ask("GET", "/bucket/key", Range="bytes=2-4")
        assert (right.status, right.headers["Content-Range"], right.body) == (206, "bytes 2-4/10", b"234")


def test_an_object_is_replaced_between_two_ranges() -> None:
    with serving(
        Fault("GetObject", attempts=(1,), where=lambda r: r.headers["range"] == "bytes=2-3", change_etag=True)
    ) as (
        server,
        client,
    ):
        server.objects["bucket", "key"] = b"\x00\x01\x02\xff"
        first = client.ask("GET", "/bucket/key", Range="bytes=0-1")
        etag = first.headers["ETag"]
        assert first.body == b"\x00\x01"
        assert client.ask("GET", "/bucket/key", Range="bytes=2-3", If_Match=etag).status == 412
        assert server.objects["bucket", "key"] == b"\x01\x02\x03\x00"
        assert server.objects.stored("bucket", "key").etag != etag


def test_an_object_is_replaced_by_what_the_test_gives() -> None:
    with serving(Fault("GetObject", change_etag=b"new")) as (server, client):
        server.objects["bucket", "key"] = b"old content"
        assert client.ask("GET", "/bucket/key").body == b"new"


def test_nothing_is_replaced_where_nothing_is() -> None:
    with serving(Fault("GetObject", change_etag=True)) as (server, client):
        assert client.ask("GET", "/bucket/key").status == 404
        assert len(server.objects) == 0


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "does nothing"),
        ({"before": True}, "does nothing"),
        ({"reset_after": -1}, "negative"),
        ({"reset_after": 1, "truncate": 1}, "only one"),
        ({"stale": True, "close_without_answer": True}, "only one"),
        ({"stall": True, "stall_after": 1}, "only one"),
        ({"read_request_body": 1}, "something has to happen"),
        ({"read_request_body": 1, "reset_after": 1}, "something has to happen"),
        ({"read_request_body": 1, "status": 500, "before": True}, "before its body"),
    ],
)
def test_faults_that_cannot_be_meant_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(**arguments)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / SPDY/3\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"PUT /bucket/key HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"PUT /bucket/key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nlong: " + b"x" * 300_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_400(request_bytes: bytes) -> None:
    with serving() as (server, _):
        assert raw(server, request_bytes)[0].startswith(b"HTTP/1.1 400 ")


def test_a_mistake_in_the_script_is_not_swallowed() -> None:
    with pytest.raises(ExceptionGroup, match="the scripted server itself failed") as caught:  # noqa: SIM117
        with serving(Fault(where=lambda request: bool(request.headers["missing"]), status=500)) as (
            server,
            _,
        ):
            assert raw_get(server) == (b"", b"", False)
    assert isinstance(caught.value.exceptions[0], KeyError)
