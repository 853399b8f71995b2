"""What botocore would send and read, to hold our builders and parsers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from haulyard.s3.xml import Element, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.s3.request import Request

# What a transport or a signer adds, and what only botocore says of itself.
_NOT_OURS = {
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "expect",
    "host",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-sdk-checksum-algorithm",
    # It takes one checksum of a document for enough, we send the old and a new one.
    "content-md5",
    "x-amz-checksum-crc32",
    # Its guess for bodies.
    "content-type",
}


class Sent(NamedTuple):
    """The parts of a request that a builder decides."""

    method: str
    query: dict[str, str]
    headers: dict[str, str]
    body: object


class _Raw:
    """As much of urllib3's answer as botocore touches."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        return [self._body]


class Botocore:
    """A client of botocore whose requests go nowhere and whose answers are given."""

    def __init__(self) -> None:
        session = botocore.session.get_session()
        session.set_credentials("AKIDEXAMPLE", "secret")
        self._client = session.create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url="http://127.0.0.1:1",
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 0},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                parameter_validation=False,
            ),
        )
        self._client.meta.events.register("before-send.s3.*", self._answer)
        self._prepared: Any = None
        self._reply: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self._prepared = request
        status, headers, body = self._reply
        return AWSResponse(request.url, status, headers, _Raw(body))

    def sends(self, method: str, **arguments: Any) -> Sent:
        """Return what botocore sends for a call."""
        self.reads(method, b"<Answer/>", **arguments)
        prepared = self._prepared
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in prepared.headers.items()
        }
        body = prepared.body
        data = body if isinstance(body, bytes) else body.read() if body else b""
        return Sent(
            prepared.method,
            dict(parse_qsl(urlsplit(prepared.url).query, keep_blank_values=True)),
            {name: value for name, value in headers.items() if name not in _NOT_OURS},
            as_tree(data),
        )

    def reads(
        self,
        method: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Return what botocore makes of an answer."""
        self._reply = (status, dict(headers or {}), body)
        result: dict[str, Any] = getattr(self._client, method)(**arguments)
        return result


def as_tree(body: bytes) -> object:
    """Return XML as nested values whose order does not matter, other bodies as they are."""
    if not body.startswith(b"<"):
        return body

    def walk(element: Element) -> tuple[object, ...]:
        children = sorted((walk(child) for child in element.children), key=repr)
        return (element.tag, element.text.strip(), tuple(children))

    return walk(parse(body))


def ours(request: Request) -> Sent:
    """Return the same of one of our requests."""
    headers = {name: value for name, value in request.headers.items() if name not in _NOT_OURS}
    body = request.body if isinstance(request.body, bytes) else b""
    return Sent(request.method, dict(request.query), headers, as_tree(body))


@pytest.fixture(scope="session")
def aws() -> Botocore:
    return Botocore()


@pytest.fixture(scope="session")
def sent() -> Callable[[Request], Sent]:
    return ours
