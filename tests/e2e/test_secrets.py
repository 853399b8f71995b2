"""No secret is ever printed or logged: every output of every kind is searched for every secret there is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from tests.e2e.conftest import Done, Program

from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDKi/session+token=="
CUSTOMER_KEY = bytes(range(65, 97))


def forms_of(secret: bytes) -> Iterator[str]:
    """Yield every form in which a secret could be printed."""
    text = secret.decode()
    md5 = hashlib.md5(secret, usedforsecurity=False).digest()
    for form in (secret, base64.b64encode(secret), base64.b64encode(md5)):
        yield from (form.decode(), quote(form, safe=""), quote_plus(form.decode()))
    yield from (secret.hex(), text.replace("/", "\\/"))


SECRETS = {
    "the secret access key": list(forms_of(SECRET_KEY.encode())),
    "the session token": list(forms_of(TOKEN.encode())),
    "the customer's key": list(forms_of(CUSTOMER_KEY)),
}
#: What a signed request looks like, however it is spelled.
SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential|Signature=[0-9a-f]{16}|Authorization", re.IGNORECASE)


class Searched:
    """The program, everything it says searched for secrets."""

    def __init__(self, haul: Program, server: FaultServer) -> None:
        self.log = haul.cwd / "log"
        (haul.cwd / "key").write_bytes(CUSTOMER_KEY)
        (haul.cwd / "f").write_bytes(b"x" * 100)
        (haul.cwd / "sub").mkdir()
        (haul.cwd / "sub/f").write_bytes(b"x")
        (haul.cwd / "large").write_bytes(b"x" * 11_000_000)
        self.program = Program(
            haul.cwd,
            {
                **haul.environ,
                "AWS_ENDPOINT_URL_S3": server.url,
                "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_SESSION_TOKEN": TOKEN,
                "HAUL_STATE_DIR": str(haul.cwd / "state"),
                "HAUL_PART_SIZE": "5MiB",
                "HAUL_RETRIES": "2",
            },
        )

    def __call__(self, *words: str) -> Done:
        self._say(*words, "--log-file", str(self.log))
        done = self._say(*words, "--json")
        for path in self.program.cwd.rglob("*"):
            if path.is_file() and path.name not in {"key", "large"}:
                self.search(str(path), path.read_bytes().decode(errors="replace"))
        return done

    def _say(self, *words: str) -> Done:
        done = self.program(*words, "--log-level", "debug")
        if "--json" in words:
            told = done.err if words[0] == "cat" else done.out + done.err
            assert all(json.loads(line)["event"] for line in told.splitlines())
        self.search("standard error", done.err)
        # What presign prints is meant to be secret, and is all that it prints.
        self.search("standard output", "" if words[0] == "presign" else done.out)
        return done

    def search(self, where: str, text: str) -> None:
        for name, forms in SECRETS.items():
            for form in forms:
                assert form not in text, f"{name} is in {where}"
        assert not SIGNED.search(text), f"a signature is in {where}"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["bucket"]) as server:
        yield server


@pytest.fixture
def searched(haul: Program, server: FaultServer) -> Searched:
    return Searched(haul, server)


@pytest.mark.parametrize(
    "line",
    [
        "cp f s3://bucket/f",
        "cp large s3://bucket/large --sse-c-key-file key",
        "cp s3://bucket/object out",
        "cp s3://bucket/nothing out",
        "cat s3://bucket/object",
        "put f s3://bucket/f --sse-c-key-file key",
        "mv f s3://bucket/f",
        "sync sub s3://bucket/",
        "head s3://bucket/object",
        "ls s3://bucket/",
        "rm s3://bucket/object",
        "presign s3://bucket/object",
        "config",
    ],
)
def test_commands_that_go_well_say_no_secret(searched: Searched, server: FaultServer, line: str) -> None:
    server.objects["bucket", "object"] = b"x"
    searched(*line.split())


def signature_does_not_match(echoed: str) -> str:
    """Return the answer of S3, which echoes what it was asked to believe."""
    return (
        "<Error><Code>SignatureDoesNotMatch</Code>"
        f"<Message>wrong: X-Amz-Signature={'0' * 64} AWS4-HMAC-SHA256 {echoed}</Message>"
        f"<StringToSign>AWS4-HMAC-SHA256 x-amz-security-token:{TOKEN}</StringToSign></Error>"
    )


@pytest.mark.parametrize(
    "fault",
    [
        Fault("*", status=403, body=signature_does_not_match(""), attempts="all"),
        Fault("*", status=400, attempts="all"),
        Fault("*", status=500, attempts="all"),
        Fault("*", reset_after=0, attempts="all"),
        Fault("*", body="<Error><Code>x</Code>", truncate=3, attempts="all"),
        Fault(
            "*",
            redirect=(307, "http://127.0.0.1:1/elsewhere?X-Amz-Signature=" + "0" * 64, {}),
            attempts="all",
        ),
    ],
    ids=["403", "400", "500", "reset", "cut", "redirect"],
)
@pytest.mark.parametrize("line", ["cp large s3://bucket/k --sse-c-key-file key", "cp s3://bucket/k out"])
def test_commands_that_fail_say_no_secret(
    searched: Searched, server: FaultServer, line: str, fault: Fault
) -> None:
    server.script(fault)
    assert searched(*line.split()).code != 0, fault


def test_a_wrong_key_file_is_not_quoted(searched: Searched) -> None:
    (searched.program.cwd / "bad").write_bytes(CUSTOMER_KEY[:31])
    done = searched("cp", "f", "s3://bucket/f", "--sse-c-key-file", "bad")
    assert done.code == 2
    assert CUSTOMER_KEY[:31].decode() not in done.err
