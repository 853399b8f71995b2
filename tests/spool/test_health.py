"""Health and metrics, asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import re

import anyio
import pytest

from haulyard.errors import ConfigError, SpoolError
from haulyard.spool.health import LATENCIES, HealthServer, Vitals, parse_address, render

pytestmark = pytest.mark.anyio


async def _ask(server: HealthServer, request: str) -> tuple[int, dict[str, str], str]:
    with anyio.fail_after(10):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(f"{request} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def _values(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_health_is_a_200_while_all_is_well_and_a_503_with_the_reason_else() -> None:
    vitals = Vitals()
    async with HealthServer(lambda: vitals) as server:
        assert (await _ask(server, "GET /healthz"))[::2] == (200, "ok\n")
        vitals.trouble = "the credentials\nare refused"
        assert (await _ask(server, "GET /healthz"))[::2] == (503, "the credentials are refused\n")
        vitals.trouble = ""
        assert (await _ask(server, "GET /healthz?verbose"))[0] == 200


async def test_metrics_are_the_numbers_of_the_moment() -> None:
    vitals = Vitals(files=3, bytes=4096, oldest_age=12.5, shipped=7, failed=1, retries=2, trouble="down")
    async with HealthServer(lambda: vitals) as server:
        status, headers, body = await _ask(server, "GET /metrics")
        assert status == 200
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        values = _values(body)
        assert values["haul_ship_backlog_files"] == 3
        assert values["haul_ship_backlog_bytes"] == 4096
        assert values["haul_ship_oldest_age_seconds"] == 12.5
        assert values["haul_ship_shipped_files_total"] == 7
        assert values["haul_ship_failed_files_total"] == 1
        assert values["haul_ship_retries_total"] == 2
        assert values["haul_ship_up"] == 0
        vitals.shipped += 1
        assert _values((await _ask(server, "GET /metrics"))[2])["haul_ship_shipped_files_total"] == 8


def test_the_latency_is_a_histogram_with_cumulated_buckets() -> None:
    vitals = Vitals()
    for seconds in (0.05, 0.06, 3.0, 10_000.0):
        vitals.took(seconds)
    values = _values(render(vitals))
    name = "haul_ship_latency_seconds"
    assert [values[f'{name}_bucket{{le="{bound}"}}'] for bound in LATENCIES] == [
        *(1, 2, 2, 2, 2, 2),
        *(3, 3, 3, 3, 3, 3, 3),
    ]
    assert values[f'{name}_bucket{{le="+Inf"}}'] == values[f"{name}_count"] == 4
    assert values[f"{name}_sum"] == pytest.approx(10_003.11)


def test_every_metric_is_announced_with_its_help_and_its_kind_before_its_samples() -> None:
    announced = ""
    for line in render(Vitals()).splitlines():
        if line.startswith("# HELP "):
            announced = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2] == announced
            kinds = {"counter"} if announced.endswith("_total") else {"gauge", "histogram"}
            assert line.split()[3] in kinds
        else:
            assert re.fullmatch(rf'{announced}(_bucket{{le="[^"]+"}}|_sum|_count)? [0-9.]+', line)


@pytest.mark.parametrize(
    ("request_", "status"),
    [("GET /", 404), ("GET /metrics/../etc", 404), ("POST /metrics", 405), ("HEAD /metrics", 200)],
)
async def test_other_requests_get_their_status(request_: str, status: int) -> None:
    async with HealthServer(Vitals) as server:
        answered, headers, body = await _ask(server, request_)
        assert answered == status
        assert bool(body) != request_.startswith("HEAD")
        assert int(headers["content-length"]) > 0
        assert headers["connection"] == "close"


async def test_who_says_too_much_is_cut_off_and_others_are_served() -> None:
    async with HealthServer(Vitals) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 100_000)
        with anyio.fail_after(10):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            assert (await _ask(server, "GET /healthz"))[0] == 200
        writer.close()


async def test_the_end_of_the_server_ends_its_connections() -> None:
    async with HealthServer(Vitals) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /heal")
        await _ask(server, "GET /healthz")
        port = server.address[1]
    with anyio.fail_after(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_named() -> None:
    async with HealthServer(Vitals) as server:
        port = server.address[1]
        with pytest.raises(SpoolError, match=f"cannot listen on 127.0.0.1 port {port}"):
            await HealthServer(Vitals, port=port).__aenter__()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9310", ("127.0.0.1", 9310)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:9310", ("0.0.0.0", 9310)),  # noqa: S104 -- only read
        ("[::1]:80", ("::1", 80)),
        ("metrics.local:80", ("metrics.local", 80)),
    ],
)
def test_a_port_may_have_an_interface(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "http", "65536", "-1", ":80", "::1:80", "host:", "[::1]", "80:x", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no port"):
        parse_address(text)
