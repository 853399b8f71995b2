"""The signed POST, at a receiver that checks it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from haulyard.errors import ConfigError, SpoolError, TransportError
from haulyard.spool.webhook import Webhook, signature
from haulyard.testing.api import ApiServer, Rule

pytestmark = pytest.mark.anyio

_SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
_BODY = b'{"files":[]}'


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The vector of the reference libraries (standard-webhooks, libraries/python/tests/test_webhooks.py).
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


async def test_a_receiver_gets_the_body_with_id_time_and_signature() -> None:
    async with ApiServer() as api:
        webhook = Webhook(f"{api.url}/hooks/a?token=x", _SECRET, clock=lambda: 1753805700.9)
        await webhook.post("batch-1", _BODY)
        await webhook.close()
    (call,) = api.calls
    assert (call.method, call.path, call.body) == ("POST", "/hooks/a?token=x", _BODY)
    headers = call.headers
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == headers["idempotency-key"] == "batch-1"
    assert headers["webhook-timestamp"] == "1753805700"
    digest = hmac.digest(b"s" * 24, b"batch-1.1753805700." + _BODY, hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("status", [302, 400, 404, 500])
async def test_anything_but_a_2xx_is_an_error_without_the_address(status: int) -> None:
    rule = Rule(status, body="not today", headers={"location": "http://127.0.0.1:1/elsewhere"})
    async with ApiServer(rule) as api:
        webhook = Webhook(f"{api.url}/T0KEN", _SECRET)
        with pytest.raises(SpoolError, match=f"answers HTTP {status}: not today") as raised:
            await webhook.post("batch-1", _BODY)
        await webhook.close()
    assert "T0KEN" not in str(raised.value)
    assert len(api.calls) == 1


async def test_no_answer_is_a_transport_error() -> None:
    async with ApiServer(Rule(close=True)) as api:
        webhook = Webhook(api.url, _SECRET)
        with pytest.raises(TransportError):
            await webhook.post("batch-1", _BODY)
        await webhook.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "ftp://x/",
        "https://",
        "https://x:99999/",
        "https://x/a b",
        "https://exämple.com/",
        "https://x/\n",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--notify is no http:// or https:// URL"):
        Webhook(url, _SECRET)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a user or password") as raised:
        Webhook("https://me:hunter2@x/", _SECRET)
    assert "hunter2" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "is not set"),
        ("whsec_!", "not base64"),
        ("hunter2", "shorter than 16"),
        ("whsec_c2hvcnQ=", "shorter"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused_and_not_repeated(secret: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        Webhook("https://x/", secret)
    assert not secret or secret not in f"{raised.value} {raised.value.hint}".replace("whsec_$", "")


async def test_a_secret_may_be_any_long_text() -> None:
    async with ApiServer() as api:
        webhook = Webhook(api.url, "correct horse battery staple", clock=lambda: 1.0)
        await webhook.post("b", b"")
        await webhook.close()
    assert api.calls[0].headers["webhook-signature"] == signature(
        b"correct horse battery staple", "b", 1, b""
    )
