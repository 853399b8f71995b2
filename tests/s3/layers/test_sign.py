from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.bodies import Source
from tests.s3.layers.fakes import Http, error_body, request

from haulyard.errors import TransportError, UnsafeName
from haulyard.s3.credentials import Credentials
from haulyard.s3.endpoint import EndpointConfig
from haulyard.s3.layers.sign import Signer
from haulyard.s3.regions import RegionCache
from haulyard.s3.response import MAX_BUFFERED
from haulyard.s3.signing import EMPTY_SHA256, UNSIGNED_PAYLOAD, sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models.body import Body

pytestmark = pytest.mark.anyio

KEYS = Credentials("AKIDEXAMPLE", "secret", "token")
NOW = 1_700_000_000.0


class Trial:
    """A signer over a transport that keeps what it is given."""

    def __init__(
        self,
        given: Http | Exception | None = None,
        *,
        endpoint: str = "https://store.example",
        keys: Credentials | None = KEYS,
    ) -> None:
        self.given = given or Http()
        self.regions = RegionCache()
        self.method = self.origin = self.path = self.query = ""
        self.headers: dict[str, str] = {}
        self.body: Body | None = None

        async def credentials() -> Credentials | None:
            return keys

        config = EndpointConfig(endpoint, "eu-central-1", "path" if endpoint else "auto")
        self.send = Signer(self._transport, config, credentials, self.regions, clock=lambda: NOW)

    async def _transport(
        self,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> Any:
        self.method, self.origin, self.path, self.query = method, origin, path, query
        self.headers, self.body = dict(headers), body
        await asyncio.sleep(0)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


async def test_what_is_sent_is_what_was_signed() -> None:
    trial = Trial(endpoint="https://store.example:9000/base")
    asked = request(
        key="a b/ä", query=(("versionId", "1/2"), ("partNumber", "3")), headers={"range": "bytes=0-1"}
    )
    await trial.send(asked)
    assert (trial.method, trial.origin) == ("GET", "https://store.example:9000")
    assert trial.path == "/base/bucket/a%20b/%C3%A4"
    assert trial.query == "partNumber=3&versionId=1%2F2"
    expected = sign(
        "GET",
        "store.example:9000",
        trial.path,
        asked.query,
        asked.headers,
        EMPTY_SHA256,
        KEYS,
        "eu-central-1",
        "20231114T221320Z",
    )
    assert trial.headers == {"host": "store.example:9000", "range": "bytes=0-1"} | expected
    assert trial.headers["x-amz-security-token"] == "token"


async def test_a_request_is_left_as_it_was_for_the_next_attempt() -> None:
    trial = Trial()
    asked = request(headers={"range": "bytes=0-1"})
    await trial.send(asked)
    assert asked.headers == {"range": "bytes=0-1"}


async def test_anonymous_requests_carry_no_signature() -> None:
    trial = Trial(keys=None)
    given = await trial.send(request())
    assert trial.headers == {"host": "store.example"}
    assert given.signed_by is None


async def test_each_attempt_has_its_own_date_and_region() -> None:
    trial = Trial(endpoint="")
    await trial.send(request())
    assert trial.origin == "https://bucket.s3.eu-central-1.amazonaws.com"
    trial.send.skew = 3600.0
    trial.regions.learn("bucket", "us-west-2")
    given = await trial.send(request())
    assert trial.origin == "https://bucket.s3.us-west-2.amazonaws.com"
    assert trial.headers["x-amz-date"] == "20231114T231320Z"
    assert "/20231114/us-west-2/s3/aws4_request" in trial.headers["authorization"]
    assert trial.send.now() == NOW + 3600
    assert (given.skew, given.address) == (3600.0, trial.send.address("bucket"))
    assert given.signed_by is KEYS


@pytest.mark.parametrize(
    ("endpoint", "body", "expected"),
    [
        ("https://store.example", b"content", UNSIGNED_PAYLOAD),
        ("http://127.0.0.1:9000", b"content", UNSIGNED_PAYLOAD),
        ("http://store.example", b"content", sha256(b"content").hexdigest()),
        ("http://store.example", bytearray(b"content"), sha256(b"content").hexdigest()),
        ("http://store.example", Source(b"content"), UNSIGNED_PAYLOAD),
        ("http://store.example", b"", EMPTY_SHA256),
        ("http://store.example", Source(), EMPTY_SHA256),
        ("http://store.example", None, EMPTY_SHA256),
    ],
    ids=["tls", "loopback", "plain", "plain array", "plain stream", "empty", "empty stream", "none"],
)
async def test_a_body_is_signed_where_anyone_could_change_it_on_the_way(
    endpoint: str, body: Any, expected: str
) -> None:
    trial = Trial(endpoint=endpoint)
    await trial.send(request("PutObject", "PUT", body=body))
    assert trial.headers["x-amz-content-sha256"] == expected
    assert trial.body is body


async def test_a_hash_that_is_known_is_signed() -> None:
    trial = Trial()
    await trial.send(request("PutObject", "PUT", body=b"content", content_sha256="ab" * 32))
    assert trial.headers["x-amz-content-sha256"] == "ab" * 32


async def test_an_answer_is_read_whole_unless_it_is_streamed() -> None:
    http = Http(body=b"<xml/>")
    given = await Trial(http).send(request("ListObjectsV2"))
    assert (given.body, given.ok, http.is_closed) == (b"<xml/>", True, True)


async def test_a_streamed_success_is_handed_out_unread() -> None:
    http = Http(206, body=b"content")
    given = await Trial(http).send(request(streamed=True))
    assert (given.body, given.ok, http.is_closed) == (b"", True, False)
    assert await given.read() == b"content"


@pytest.mark.parametrize("status", [304, 403, 404, 500])
async def test_a_failure_is_read_whole_even_where_a_success_would_be_streamed(status: int) -> None:
    given = await Trial(Http(status, body=error_body("Code"))).send(request(streamed=True))
    assert (given.body, given.ok) == (error_body("Code"), False)


@pytest.mark.parametrize("ok", [True, False])
async def test_a_success_may_turn_out_to_be_none(*, ok: bool) -> None:
    http = Http(200, {"x-amz-request-id": "ID"}, b"<Error/>")
    seen = []

    def classify(status: int, headers: Mapping[str, str], body: bytes) -> bool:
        seen.append((status, headers["x-amz-request-id"], body))
        return ok

    given = await Trial(http).send(request("CopyObject", "PUT", classify=classify))
    assert given.ok is ok
    assert seen == [(200, "ID", b"<Error/>")]


async def test_only_a_success_is_looked_into() -> None:
    def classify(*_: object) -> bool:
        raise AssertionError

    assert not (await Trial(Http(500)).send(request(classify=classify))).ok


async def test_an_answer_without_end_is_not_read_whole() -> None:
    limits = []

    class Endless(Http):
        async def read(self, limit: int = -1) -> bytes:
            limits.append(limit)
            raise TransportError("too long", kind="body")

    with pytest.raises(TransportError):
        await Trial(Endless()).send(request("ListObjectsV2"))
    assert limits == [MAX_BUFFERED]


async def test_a_key_that_no_url_can_express_is_not_sent() -> None:
    trial = Trial()
    with pytest.raises(UnsafeName) as refused:
        await trial.send(request(key=".."))
    assert refused.value.key == ".."
    assert trial.method == ""


async def test_what_the_transport_raises_goes_through() -> None:
    broken = TransportError("broken")
    with pytest.raises(TransportError) as raised:
        await Trial(broken).send(request())
    assert raised.value is broken
