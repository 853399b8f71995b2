"""How far a server can be reached, step by step: its name, a connection, its certificate.

Plain sockets, so that each step fails by itself and says why; requests go through `haulyard.http`, which
trusts the same authorities and has the last word. Every function blocks: call it in a thread.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, TransportError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

#: Seconds for each step.
PATIENCE = 5.0


class Certificate(NamedTuple):
    """How a server encrypts, and who it says it is.

    ``expires_at`` is in seconds since the epoch, 0.0 where the certificate was not verified and so not
    read. ``problem`` says why it is not to be trusted, ``""`` where it is.
    """

    version: str
    subject: str = ""
    issuer: str = ""
    expires_at: float = 0.0
    problem: str = ""


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name, each once.

    Raises:
        TransportError: It has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise TransportError(
            f"{host}: {reason}",
            kind="dns",
            sent=False,
            hint="check --endpoint-url and --region, and this machine's DNS and network",
        ) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(host: str, port: int) -> float:
    """Return how many seconds it takes to open a connection.

    Raises:
        TransportError: Nobody listens, or nobody answers.
    """
    started = time.monotonic()
    with _connected(host, port):
        return time.monotonic() - started


def certificate(host: str, port: int, *, ca_bundle: str = "", verify: bool = True) -> Certificate:
    """Return how the server encrypts; ``ca_bundle`` is a file of further authorities, ``""`` for none.

    Raises:
        TransportError: It does not speak TLS.
        ConfigError: The bundle cannot be read.
    """
    import ssl  # 15 ms that nobody else pays

    trusting = ssl.create_default_context()
    if ca_bundle:
        try:
            trusting.load_verify_locations(ca_bundle)
        except OSError as error:
            raise ConfigError(
                f"the CA bundle {ca_bundle} cannot be used: {error.strerror or error}",
                hint="check --ca-bundle and AWS_CA_BUNDLE: a PEM file of certificates is wanted",
            ) from None
    if verify:
        try:
            return _shake_hands(host, port, trusting)
        except ssl.SSLCertVerificationError as error:
            problem = error.verify_message
    else:
        problem = "not verified, as was asked for"
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    return _shake_hands(host, port, blind)._replace(problem=problem)


def proxy_for(scheme: str, host: str) -> str:
    """Return the proxy that requests go through, without its password; ``""`` for none."""
    from urllib.request import getproxies, proxy_bypass  # 30 ms, as above

    proxies: Mapping[str, str] = getproxies()
    found = proxies.get(scheme) or proxies.get("all") or ""
    if not found or proxy_bypass(host):
        return ""
    return found.rpartition("@")[2] if "@" in found else found


def _connected(host: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=PATIENCE)
    except OSError as error:
        timed_out = isinstance(error, TimeoutError)
        said = f"no answer within {PATIENCE:.0f} s" if timed_out else (error.strerror or str(error)).lower()
        raise TransportError(
            f"{host} port {port}: {said}",
            kind="timeout" if timed_out else "connect",
            sent=False,
            hint="check the port of --endpoint-url, firewalls and security groups; is the server running?",
        ) from None


def _shake_hands(host: str, port: int, context: ssl.SSLContext) -> Certificate:
    import ssl

    try:
        with _connected(host, port) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
            shown = secure.getpeercert() or {}
            version = secure.version() or ""
    except ssl.SSLCertVerificationError:
        raise
    except OSError as error:
        timed_out = isinstance(error, TimeoutError)
        said = f"silent for {PATIENCE:.0f} s" if timed_out else getattr(error, "reason", "") or str(error)
        raise TransportError(
            f"{host} port {port} does not speak TLS: {said}",
            kind="tls",
            sent=False,
            hint="does it speak plain http? then write http:// in --endpoint-url",
        ) from None
    if not shown:
        return Certificate(version)
    return Certificate(
        version,
        _name(shown.get("subject"), "commonName") or _first_alternative(shown),
        _name(shown.get("issuer"), "organizationName") or _name(shown.get("issuer"), "commonName"),
        ssl.cert_time_to_seconds(str(shown["notAfter"])),
    )


def _name(name: object, wanted: str) -> str:
    """Return one attribute of a distinguished name, as `ssl.SSLSocket.getpeercert` gives it."""
    for pairs in name if isinstance(name, tuple) else ():
        for key, value in pairs:
            if key == wanted:
                return str(value)
    return ""


def _first_alternative(shown: Mapping[str, object]) -> str:
    names = shown.get("subjectAltName")
    return str(names[0][1]) if isinstance(names, tuple) and names else ""
