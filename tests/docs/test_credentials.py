"""What docs/credentials.md says that `haul doctor` prints, it prints: each way is gone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.conftest import Box
from tests.docs import pages
from tests.docs.key_sources import ACCESS_KEY, end, key_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server

_SECTION = re.compile(r"^### (?P<title>.+?)\n(?P<text>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_PAGE = pages.DOCS / "credentials.md"
_WAYS = {match["title"]: match["text"] for match in _SECTION.finditer(_PAGE.read_text(encoding="utf-8"))}
#: Those that no command shows.
_ELSEWHERE = {"Arguments in Python"}
#: What is told of a way before it is there, or once it is over: the second block of its section.
_BEFORE = {"SSO (IAM Identity Center)", "Temporary keys that say when they end"}


@pytest.fixture(scope="module")
def sources() -> Iterator[str]:
    """The URL of everything that gives out keys."""
    with key_sources() as url:
        yield url


class World:
    """A machine on which one way was gone as the page says."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, sources: str) -> None:
        self.home = home
        self.patch = monkeypatch
        self.sources = sources
        self.words: list[str] = []
        self.is_apart = False
        """Whether the command needs a process of its own."""

    def follow(self, text: str) -> None:
        """Do what a section says: write its files, set its variables."""
        for block in pages.blocks_of(text):
            if block.language == "ini":
                first, _, content = block.text.partition("\n")
                name = first.removeprefix("# ").replace("~", str(self.home))
                path = self.home / "work" / name if name == ".env" else Path(name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(content)
            elif block.language == "sh":
                for line in block.text.splitlines():
                    self._take(shlex.split(line))

    def doctor(self) -> str:
        """Return what `haul doctor` prints."""
        work = self.home / "work"
        if self.is_apart:
            command = [sys.executable, "-m", "haulyard", "doctor", *self.words]
            return subprocess.run(command, cwd=work, stdout=subprocess.PIPE, text=True, check=False).stdout
        return Box(work, dict(os.environ), real=True)("doctor", *self.words).out

    def token(self, name: str, directory: str, content: dict[str, Any]) -> None:
        """Write what a login left in the cache."""
        path = self.home / ".aws" / directory / f"{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))

    def _take(self, words: list[str]) -> None:
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.patch.setenv(name, value)
        elif words[0] == "haul":
            self.words = [word for word in words[1:] if word not in {"ls", "s3://bucket"}]


def _nothing(world: World) -> None:
    del world


def _logged_in(world: World) -> None:
    world.patch.setenv("AWS_ENDPOINT_URL_SSO", world.sources)
    # botocore decides where that cache is when it is imported.
    world.is_apart = True
    name = hashlib.sha1(b"company").hexdigest()  # noqa: S324 -- botocore's name for it
    content = {
        "startUrl": "https://company.awsapps.com/start",
        "region": "eu-central-1",
        "accessToken": "token",
        "expiresAt": end(),
    }
    world.token(name, "sso/cache", content)


def _logged_in_to_the_console(world: World) -> None:
    name = hashlib.sha256(b"arn:aws:iam::123456789012:user/ann").hexdigest()
    keys = {
        "accessKeyId": ACCESS_KEY,
        "secretAccessKey": "secret",
        "sessionToken": "token",
        "accountId": "123456789012",
        "expiresAt": end(),
    }
    others = {"tokenType": "aws_sigv4", "refreshToken": "r", "clientId": "c", "dpopKey": "k"}
    world.token(name, "login/cache", {"accessToken": keys, **others})


def _has_a_token(world: World) -> None:
    path = world.home / "token"
    path.write_text("a token of OIDC")
    world.patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path))


def _is_a_container(world: World) -> None:
    world.patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{world.sources}/v1/credentials")


def _is_an_instance(world: World) -> None:
    world.patch.delenv("AWS_EC2_METADATA_DISABLED")
    world.patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", world.sources)


def _has_a_vault(world: World) -> None:
    program = world.home / "bin" / "keys-from-the-vault"
    program.parent.mkdir()
    keys = {
        "Version": 1,
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": end(),
    }
    program.write_text(f"#!/bin/sh\necho '{json.dumps(keys)}'\n")
    program.chmod(0o755)
    world.patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


#: What the page cannot do: be a machine of AWS, or log in.
_MADE: dict[str, Callable[[World], None]] = {
    "SSO (IAM Identity Center)": _logged_in,
    "aws login": _logged_in_to_the_console,
    "Web identity": _has_a_token,
    "A container": _is_a_container,
    "An instance": _is_an_instance,
    "A process": _has_a_vault,
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: Server, sources: str) -> World:
    """A home without anything, and stores and an STS that take any keys."""
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint_url)
    return World(tmp_path, monkeypatch, sources)


@pytest.mark.parametrize("way", [way for way in _WAYS if way not in _ELSEWHERE])
def test_haul_doctor_prints_of_each_way_what_the_page_says(way: str, world: World) -> None:
    world.follow(_WAYS[way])
    _MADE.get(way, _nothing)(world)
    _printed(_told(way)[0], world)


def test_before_a_login_it_says_so(world: World) -> None:
    world.follow(_WAYS["SSO (IAM Identity Center)"])
    _printed(_told("SSO (IAM Identity Center)")[1], world)


def test_keys_that_have_ended_are_said_so(world: World) -> None:
    world.follow(_WAYS["Temporary keys that say when they end"])
    world.patch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    _printed(_told("Temporary keys that say when they end")[1], world)


def test_each_way_is_in_the_table_and_says_what_is_printed() -> None:
    for way in _WAYS.keys() - _ELSEWHERE:
        assert len(_told(way)) == (2 if way in _BEFORE else 1), way
    targets = {target.removeprefix("#") for target in pages.links(_PAGE) if target.startswith("#")}
    assert len(targets) >= len(_WAYS) - 2


def _printed(told: str, world: World) -> None:
    printed = world.doctor().splitlines()
    left = iter(printed)
    for line in told.splitlines():
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
        assert any(pattern.fullmatch(each) for each in left), f"{line!r} is not in\n" + "\n".join(printed)


def _told(way: str) -> list[str]:
    return [block.text for block in pages.blocks_of(_WAYS[way]) if block.language == "text"]
