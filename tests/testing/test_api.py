from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from haulyard.http import HttpClient
from haulyard.testing.api import ApiProcess, ApiServer, Call, Rule, read_log, windows

if TYPE_CHECKING:
    from pathlib import Path


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(api: ApiServer | ApiProcess, body: bytes = b"{}", path: str = "/records", **headers: str) -> Reply:
    """Make one call on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, named)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


def statuses(api: ApiServer, count: int, body: bytes = b"{}") -> list[int]:
    return [ask(api, body).status for _ in range(count)]


def raw(api: ApiServer, *pieces: bytes) -> bytes:
    """Send pieces, a segment each, and return everything that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
        return received


def test_every_call_is_answered_and_remembered() -> None:
    before = time.monotonic()
    with ApiServer() as api:
        reply = ask(api, b'{"id":7}', "/records?a=b", Idempotency_Key="job-1", X_Other="value")
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})
    (call,) = api.calls
    assert (call.number, call.method, call.path, call.body) == (1, "POST", "/records?a=b", b'{"id":7}')
    assert (call.key, call.headers["x-other"], call.json(), call.delivered) == (
        "job-1",
        "value",
        {"id": 7},
        True,
    )
    assert before <= call.time <= time.monotonic()
    assert abs(call.wall - time.time()) < 60


def test_a_call_in_pieces_and_calls_in_one_piece_are_the_same_calls() -> None:
    one = b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    with ApiServer() as api:
        answers = raw(api, *(one[start : start + 1] for start in range(len(one))))
        assert answers.count(b"HTTP/1.1 200") == 1
        assert raw(api, one * 3 + one[:20], one[20:]).count(b"HTTP/1.1 200") == 4
        assert {call.body for call in api.calls} == {b"body"}


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    with ApiServer() as api, socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.sendall(b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"body")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / SPDY/1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ],
)
def test_what_it_does_not_understand_is_refused_and_no_call(request_: bytes, status: int) -> None:
    with ApiServer() as api:
        assert raw(api, request_).startswith(b"HTTP/1.1 %d " % status)
        assert api.calls == ()


def test_a_connection_is_kept_unless_the_client_closes_it() -> None:
    kept = b"GET / HTTP/1.1\r\n\r\n"
    with ApiServer() as api:
        # In one piece: what comes after a close would reset the connection, and the answers with it.
        last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + kept
        assert raw(api, kept, last).count(b" 200 OK") == 2
        assert raw(api, b"GET / HTTP/1.0\r\n\r\n" + kept).count(b" 200 OK") == 1


# Rules


def test_of_several_rules_the_first_that_hits_counts() -> None:
    with ApiServer(Rule(503, times=2), Rule(500, times=1)) as api:
        assert statuses(api, 4) == [503, 503, 500, 200]
        assert [call.status for call in api.calls] == [503, 503, 500, 200]
        api.script(Rule(418))
        assert statuses(api, 1) == [418]


def test_a_rule_may_hit_each_nth_of_the_calls_that_it_concerns() -> None:
    with ApiServer(Rule(500, every=3, where=lambda call: call.path == "/records")) as api:
        ask(api, path="/other")
        assert statuses(api, 6) == [200, 200, 500, 200, 200, 500]


def test_bursts_are_told_by_the_number_of_a_call() -> None:
    with ApiServer(Rule(500, where=lambda call: 2 <= call.number < 4)) as api:
        assert statuses(api, 5) == [200, 500, 500, 200, 200]


def test_a_poison_record_fails_always_and_nothing_else_does() -> None:
    with ApiServer(Rule(422, contains='"bad"')) as api:
        assert [ask(api, body).status for body in (b'{"a":"bad"}', b'{"a":"b"}', b'{"a":"bad"}')] == [
            422,
            200,
            422,
        ]


def test_an_answer_is_as_it_was_written_down() -> None:
    with ApiServer(
        Rule(body='{"error":"no"}', headers={"x-why": "because"}, times=1),
        Rule(201, body=lambda call: call.body.upper()),
    ) as api:
        first, second = ask(api), ask(api, b"echo")
    assert (first.status, first.headers["x-why"], first.body) == (200, "because", b'{"error":"no"}')
    assert (second.status, second.body) == (201, b"ECHO")


def test_an_error_has_its_reason_for_a_body() -> None:
    with ApiServer(Rule(409)) as api:
        assert json.loads(ask(api).body) == {"error": "Conflict"}


def test_retry_after_is_told_in_seconds_as_a_date_or_not_at_all() -> None:
    with ApiServer(
        Rule(429, retry_after=1.5, times=1), Rule(429, retry_after=90, as_date=True, times=1), Rule(429)
    ) as api:
        seconds, date, none = (ask(api).headers["retry-after"] for _ in range(3))
    assert seconds == "1.5"
    assert 80 < parsedate_to_datetime(date).timestamp() - time.time() <= 91
    assert none is None


def test_a_reset_comes_before_or_after_the_body_has_been_read() -> None:
    with ApiServer(Rule(reset="before", times=1), Rule(reset="after", times=1)) as api:
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                ask(api, b"x" * 1_000_000)
        assert ask(api).status == 200
        assert [(len(call.body), call.status) for call in api.calls] == [(0, 0), (1_000_000, 0), (2, 200)]


def test_a_connection_may_be_closed_without_an_answer() -> None:
    with ApiServer(Rule(close=True)) as api:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(api)
        assert [call.status for call in api.calls] == [0]


def test_half_an_answer_announces_the_whole_of_it() -> None:
    with ApiServer(Rule(half=True, body="0123456789")) as api:
        with pytest.raises(http.client.IncompleteRead) as cut:
            ask(api)
        assert cut.value.partial == b"01234"
        assert not api.calls[0].delivered


def test_a_slow_answer_comes_no_earlier_than_told() -> None:
    with ApiServer(Rule(delay=0.05)) as api:
        ask(api)
        # uvloop counts in milliseconds.
        assert time.monotonic() - api.calls[0].time > 0.048


def test_a_call_hangs_until_it_is_released_and_what_follows_waits() -> None:
    two = b"POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    with (
        ApiServer(Rule(hang=True, times=1)) as api,
        socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection,
    ):
        connection.sendall(two)
        assert api.wait_for(lambda call: call.path == "/a").number == 1
        assert (api.held, len(api.calls)) == (1, 1)
        api.release()
        assert api.wait_for(lambda call: call.path == "/b").number == 2
        received = b""
        while received.count(b"HTTP/1.1 200") < 2:
            received += connection.recv(1 << 16)


def test_a_caller_that_left_is_not_held_any_more() -> None:
    with ApiServer(Rule(hang=True, times=1)) as api:
        with socket.create_connection(("127.0.0.1", api.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            api.wait_for()
        while api.held:
            ask(api)
        api.release()


@pytest.mark.parametrize(
    "rule",
    [
        {"reset": "after", "close": True},
        {"every": 0},
        {"delay": -1.0},
        {"limit": (0, 1.0)},
        {"reset": "before", "contains": "x"},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"only one|positive|nobody knows"):
        Rule(**rule)


# Limits


def test_a_limit_refuses_and_counts_what_is_above_it_in_any_sliding_window() -> None:
    with ApiServer(limit=(3, 60.0)) as api:
        assert statuses(api, 5) == [200, 200, 200, 429, 429]
        assert api.violations == 2
        api.script()
        assert statuses(api, 1) == [200]


def test_a_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("haulyard.testing._api_connection.monotonic", lambda: now[0])
    with ApiServer(limit=(2, 1.0)) as api:
        found = []
        for moment in (0.0, 0.75, 0.875, 1.0, 1.5, 1.75):
            now[0] = moment
            found += statuses(api, 1)
    # At 1.0 the first has left the window; at 1.75 the second has, and at 1.5 nobody.
    assert found == [200, 200, 429, 200, 429, 200]


def test_several_limits_hold_at_once() -> None:
    with ApiServer(
        Rule(429, limit=(2, 60.0), retry_after=60), Rule(403, limit=(1, 86_400.0)), limit=(3, 60.0)
    ) as api:
        assert statuses(api, 4) == [200, 403, 429, 429]
        assert api.violations == 3


def test_windows_tells_the_most_that_lie_in_any_window() -> None:
    assert windows([], 1.0) == 0
    assert windows([0.0, 1.0, 2.0], 1.0) == 1
    assert windows([0.5, 0.0, 0.9, 1.2, 3.0], 1.0) == 3


def test_a_server_knows_its_own_fullest_window() -> None:
    with ApiServer() as api:
        statuses(api, 3)
        assert api.windows(60.0) == 3


# Outages


def test_a_dead_server_refuses_and_comes_back_on_the_same_port() -> None:
    with ApiServer() as api, socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        url = api.url
        api.die()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        with pytest.raises(ConnectionRefusedError):
            ask(api)
        api.come_back()
        assert api.url == url
        assert ask(api).status == 200


@pytest.mark.anyio
async def test_it_runs_in_the_loop_of_its_caller_as_well() -> None:
    threads = threading.active_count()
    async with ApiServer(Rule(503, every=2)) as api, HttpClient() as client:
        assert threading.active_count() == threads
        waiting = asyncio.create_task(api.wait_for_async(lambda call: call.body == b"3"))
        answers = []
        for number in range(4):
            response = await client.send("POST", api.url, "/", "", {}, b"%d" % number)
            await response.read()
            answers.append(response.status)
        assert answers == [200, 503, 200, 503]
        assert (await waiting).number == 4
        api.die()
        api.come_back()
        async with HttpClient() as other:
            assert (await other.send("POST", api.url, "/", "", {}, b"")).status == 200


def test_what_does_not_come_is_not_waited_for_for_ever() -> None:
    with ApiServer() as api, pytest.raises(TimeoutError):
        api.wait_for(timeout=0.01)


# The log, and the process


def test_the_log_holds_a_call_before_it_is_answered(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    with ApiServer(Rule(422, times=1), log=log, in_memory=False) as api:
        for number in range(2):
            ask(api, f'{{"é":{number}}}'.encode(), Idempotency_Key=f"k{number}")
            assert len(read_log(log)) == number + 1
        assert api.calls == ()
    first, last = read_log(log)
    assert (first.status, first.key, first.body) == (422, "k0", '{"é":0}'.encode())
    assert (last.status, last.key, last.method, last.path) == (200, "k1", "POST", "/records")


def test_a_line_that_was_cut_off_is_no_call(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    call = Call(1, 1.0, 2.0, "POST", "/", b"POST / HTTP/1.1\r\nIdempotency-Key: k", b"body", 200)
    log.write_bytes(call.line() + call.line()[:-1])
    assert [found.key for found in read_log(log)] == ["k"]


def test_bodies_can_be_left_out(tmp_path: Path) -> None:
    with ApiServer(Rule(422, contains="bad"), log=tmp_path / "calls", bodies=False) as api:
        ask(api, b"bad")
    assert [(call.body, call.status) for call in api.calls] == [(b"", 422)]
    assert [call.body for call in read_log(tmp_path / "calls")] == [b""]


def test_a_process_survives_its_callers_and_its_log_survives_the_process(tmp_path: Path) -> None:
    rules = Rule(422, contains="bad"), Rule(200, body=b"fine", every=2)
    with ApiProcess(tmp_path / "calls", *rules, limit=(3, 600.0)) as api:
        assert [ask(api, body).status for body in (b"bad", b"1", b"2", b"3")] == [422, 200, 200, 429]
        port = api.port
        api.die()
        with pytest.raises(ConnectionRefusedError):
            ask(api)
        api.come_back()
        assert api.port == port
        assert ask(api, b"4").body == b'{"status":"ok"}'
        assert ask(api, b"5").body == b"fine"
        assert [call.body for call in api.calls] == [b"bad", b"1", b"2", b"3", b"4", b"5"]


def test_a_process_takes_no_functions(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="function"):
        ApiProcess(tmp_path / "calls", Rule(500, where=lambda call: call.number == 1))


def test_a_process_that_does_not_start_says_so(tmp_path: Path) -> None:
    api = ApiProcess(tmp_path / "missing" / "calls")
    with pytest.raises(RuntimeError, match="did not start"), api:
        pass
