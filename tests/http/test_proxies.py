from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import TransportError
from haulyard.http.proxies import is_loopback

if TYPE_CHECKING:
    from haulyard.testing.faults import FaultServer

# On Linux this address reaches the machine itself although it is none of its loopback addresses.
ELSEWHERE = "0.0.0.0"  # noqa: S104 -- nothing is bound to it


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:8333", True),
        ("https://127.1.2.3", True),
        ("http://localhost:8333", True),
        ("http://bucket.localhost", True),
        ("http://[::1]:8333", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://[::2]:1", False),
        ("https://s3.amazonaws.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_is_told_by_the_host(origin: str, *, expected: bool) -> None:
    assert is_loopback(origin) is expected


def test_only_so_many_hosts_are_remembered() -> None:
    assert is_loopback.cache_info().maxsize is not None


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_used(
    connect: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, server.url)
    for method in ("GET", "PUT"):
        client = connect().client
        await (await client.send(method, "http://store.invalid", "/bucket/key", "", {})).read()
        assert server.requests[-1].path == "http://store.invalid/bucket/key"


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_proxy_is_never_used_for_this_machine(
    asking: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    origin = f"http://{host}:{server.port}"
    await (await asking.client.send("GET", origin, "/bucket/key", "", {})).read()
    assert server.requests[-1].path == "/bucket/key"


@pytest.mark.anyio
async def test_no_proxy_is_honoured(
    asking: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", f"store.example,{ELSEWHERE}")
    origin = f"http://{ELSEWHERE}:{server.port}"
    await (await asking.client.send("GET", origin, "/bucket/key", "", {})).read()
    assert server.requests[-1].path == "/bucket/key"


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there_proves_that_nothing_was_done(
    asking: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(TransportError) as refused:
        await asking.client.send("PUT", f"http://{ELSEWHERE}:{server.port}", "/bucket/key", "", {}, b"")
    assert (refused.value.kind, refused.value.sent) == ("connect", False)
