from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, TransportError
from haulyard.http.trust import read_bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.http.conftest import Asking

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a server's certificate that it signed."""

    bundle: Path
    certificate: Path
    key: Path


def openssl(*arguments: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    directory = tmp_path_factory.mktemp("authority")
    ca_key, ca, key, request, signed, names = (
        directory / name for name in ("ca.key", "ca.pem", "key.pem", "request", "signed.pem", "names")
    )
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subject = ("-subj", "/CN=authority")
    openssl("req", "-x509", *curve, "-keyout", f"{ca_key}", "-out", f"{ca}", "-days", "2", *subject)
    openssl("req", *curve, "-keyout", f"{key}", "-out", f"{request}", "-subj", "/CN=localhost")
    names.write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    issued = ("-CA", f"{ca}", "-CAkey", f"{ca_key}", "-CAcreateserial", "-days", "2")
    openssl("x509", "-req", "-in", f"{request}", *issued, "-extfile", f"{names}", "-out", f"{signed}")
    return Authority(ca, signed, key)


@asynccontextmanager
async def encrypted(authority: Authority) -> AsyncIterator[str]:
    """Serve a small answer over TLS; yields the origin, for the name that the certificate has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # handshakes that the client gave up

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def ask(asking: Asking, origin: str) -> bytes:
    return await (await asking.client.send("GET", origin, "/bucket/key", "", {})).read()


@needs_openssl
@pytest.mark.anyio
async def test_a_certificate_of_an_authority_in_the_bundle_is_trusted(
    connect: Any, authority: Authority, tmp_path: Path
) -> None:
    async with encrypted(authority) as origin:
        assert await ask(connect(ca_bundle=f"{authority.bundle}"), origin) == b"hello"
        several = tmp_path / "bundle.pem"
        several.write_bytes(b"# other\n" + authority.certificate.read_bytes() + authority.bundle.read_bytes())
        assert await ask(connect(ca_bundle=f"{several}"), origin) == b"hello"


@needs_openssl
@pytest.mark.anyio
async def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(
    connect: Any, authority: Authority
) -> None:
    async with encrypted(authority) as origin:
        with pytest.raises(TransportError) as refused:
            await ask(connect(), origin)
    assert (refused.value.kind, refused.value.sent) == ("tls", False)
    assert "--ca-bundle" in refused.value.hint


@needs_openssl
@pytest.mark.anyio
async def test_a_certificate_for_another_name_is_refused(connect: Any, authority: Authority) -> None:
    async with encrypted(authority) as origin:
        with pytest.raises(TransportError, match="not valid for name") as refused:
            await ask(connect(ca_bundle=f"{authority.bundle}"), origin.replace("localhost", "127.0.0.1"))
    assert (refused.value.kind, refused.value.sent) == ("tls", False)


@needs_openssl
@pytest.mark.anyio
async def test_verification_can_be_switched_off(connect: Any, authority: Authority) -> None:
    async with encrypted(authority) as origin:
        assert await ask(connect(verify=False), origin) == b"hello"


@needs_openssl
@pytest.mark.anyio
async def test_a_proxy_has_to_be_trusted_even_where_only_plain_http_goes_through_it(
    connect: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with encrypted(authority) as origin:
        monkeypatch.setenv("HTTP_PROXY", origin)
        with pytest.raises(TransportError) as refused:
            await ask(connect(), "http://store.invalid")
        assert await ask(connect(ca_bundle=f"{authority.bundle}"), "http://store.invalid") == b"hello"
    assert (refused.value.kind, refused.value.sent) == ("tls", False)


@pytest.mark.anyio
async def test_a_server_that_does_not_encrypt_is_no_tls_server(asking: Any, server: Any) -> None:
    with pytest.raises(TransportError) as refused:
        await ask(asking, server.url.replace("http:", "https:"))
    assert (refused.value.kind, refused.value.sent) == ("tls", False)


def test_without_a_bundle_there_is_nothing_to_read() -> None:
    assert read_bundle("") == []


def test_a_bundle_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_bundle(f"{tmp_path}/none.pem")


def test_a_bundle_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="holds no certificate"):
        read_bundle(f"{tmp_path}/key.pem")
