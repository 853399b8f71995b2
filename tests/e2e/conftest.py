"""The built program against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Server

#: Seconds after which a command that should be quick is considered to hang.
PATIENCE = 120


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Program:
    """The installed ``haul``, in a directory and an environment of its own."""

    cwd: Path
    environ: dict[str, str]

    @property
    def path(self) -> str:
        return str(Path(sys.executable).with_name("haul"))

    def __call__(self, *words: str, stdin: bytes = b"", **environ: str) -> Done:
        done = subprocess.run(
            [self.path, *words],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=self.cwd,
            env={**self.environ, **environ},
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def ok(self, *words: str, stdin: bytes = b"") -> Done:
        """Run a command that must succeed."""
        done = self(*words, stdin=stdin)
        assert done.code == 0, done.err
        return done

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command whose streams are pipes; whoever starts it waits for it."""
        return subprocess.Popen(
            [self.path, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.cwd,
            env=self.environ,
        )

    def shell(self, script: str) -> Done:
        """Run a script that finds ``haul`` in its PATH."""
        path = f"{Path(sys.executable).parent}:{self.environ['PATH']}"
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            capture_output=True,
            check=False,
            cwd=self.cwd,
            env={**self.environ, "PATH": path},
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())


def bare_environment(home: Path) -> dict[str, str]:
    """Return what the program needs, and no settings.

    Its coverage is not measured: that would cost a tenth of a second at each of thousands of starts, and what
    it runs is measured by the tests that run it in their own process.
    """
    return {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}


def program_at(server: Server, home: Path) -> Program:
    """Return the program with ``server`` as its endpoint, in an empty directory below ``home``."""
    cwd = home / "cwd"
    cwd.mkdir()
    return Program(
        cwd,
        {
            **bare_environment(home),
            "AWS_ENDPOINT_URL_S3": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
        },
    )


@pytest.fixture
def haul(tmp_path: Path, seaweedfs: Server) -> Program:
    """The program, with the embedded store as its endpoint."""
    return program_at(seaweedfs, tmp_path)


def made_bucket(haul: Program) -> str:
    """Make a bucket and return its URL without a slash."""
    url = f"s3://test-{uuid.uuid4().hex}"
    haul.ok("mb", url)
    return url


@pytest.fixture
def bucket(haul: Program) -> str:
    """A bucket of this test's own, by its URL without a slash."""
    return made_bucket(haul)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, seaweedfs: Server) -> tuple[Program, str]:
    """A program and a bucket for all commands of a file that fail: they leave everything as it is.

    The directory has a file ``f``, a directory ``d`` with two and an ``empty`` one; the bucket has the key
    ``k`` and two below ``tree/``.
    """
    haul = program_at(seaweedfs, tmp_path_factory.mktemp("prepared"))
    for name in ("f", "d/g", "d/h"):
        path = haul.cwd / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (haul.cwd / "empty").mkdir()
    bucket = made_bucket(haul)
    haul.ok("cp", "d/", f"{bucket}/tree/")
    haul.ok("cp", "f", f"{bucket}/k")
    return haul, bucket
