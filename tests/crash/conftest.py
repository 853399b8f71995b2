"""The program behind a gate, and an independent witness of what it did."""

from __future__ import annotations

import random
import shutil
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from tests.crash.gate import Gate
from tests.e2e.conftest import Program, bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conftest import Server

#: As small as S3 has parts, so that a few MiB are a large object.
PART_SIZE = "5MiB"


@dataclass
class World:
    """One bucket, one directory, and the program between them."""

    haul: Program
    gate: Gate
    s3: Any
    bucket: str
    direct: str
    """The endpoint without the gate: for the program that is another service."""

    @property
    def cwd(self) -> Path:
        return self.haul.cwd

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def fill(self, prefix: str, tree: Mapping[str, bytes]) -> None:
        """Put objects below a prefix."""
        for name, content in tree.items():
            self.s3.put_object(Bucket=self.bucket, Key=prefix + name, Body=content)

    def write(self, directory: str, tree: Mapping[str, bytes]) -> None:
        """Write files below a directory."""
        for name, content in tree.items():
            path = self.cwd / directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return what lies below a prefix, with its content."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {
            key[len(prefix) :]: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }

    def files(self, directory: str) -> dict[str, bytes]:
        """Return what lies in a directory, hidden files included."""
        root = self.cwd / directory
        return {
            str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if not path.is_dir()
        }

    def empty(self) -> None:
        """Remove all objects."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for page in pages:
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
            if keys:
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})

    def open_uploads(self) -> dict[str, str]:
        """Return the keys of multipart uploads that are neither completed nor aborted, by id."""
        answer = self.s3.list_multipart_uploads(Bucket=self.bucket)
        return {upload["UploadId"]: upload["Key"] for upload in answer.get("Uploads", ())}

    def forget_endpoints(self) -> None:
        """Make the program find out again what the endpoint honours."""
        shutil.rmtree(Path(self.haul.environ["HAUL_STATE_DIR"]) / "endpoints", ignore_errors=True)

    def records(self) -> list[str]:
        """Return what interrupted uploads have left in the state directory."""
        folder = Path(self.haul.environ["HAUL_STATE_DIR"]) / "uploads"
        return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def world(tmp_path: Path, seaweedfs: Server) -> Iterator[World]:
    """A world of its own for each test."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    port = urlsplit(seaweedfs.endpoint_url).port
    assert port is not None
    with (
        Gate(port) as gate,
        closing(
            boto3.client(
                "s3",
                endpoint_url=seaweedfs.endpoint_url,
                region_name=seaweedfs.region,
                aws_access_key_id=seaweedfs.access_key,
                aws_secret_access_key=seaweedfs.secret_key,
            )
        ) as s3,
    ):
        environ = {
            **bare_environment(tmp_path),
            "AWS_ENDPOINT_URL_S3": gate.url,
            "AWS_ACCESS_KEY_ID": seaweedfs.access_key,
            "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key,
            "AWS_REGION": seaweedfs.region,
            "HAUL_STATE_DIR": str(tmp_path / "state"),
            "HAUL_PART_SIZE": PART_SIZE,
        }
        bucket = f"crash-{uuid.uuid4().hex}"
        s3.create_bucket(Bucket=bucket)
        yield World(Program(cwd, environ), gate, s3, bucket, seaweedfs.endpoint_url)


def make_tree(seed: int, *, small: int, large: int) -> dict[str, bytes]:
    """Make the content of a tree: small files in directories, empty ones, and some of several parts."""
    chance = random.Random(seed)
    tree = {
        f"d{number % 4}/f{number}.bin": chance.randbytes(chance.choice((0, 1, 900, 40_000)))
        for number in range(small)
    }
    for number in range(large):
        tree[f"large{number}"] = chance.randbytes(11_000_000 + chance.randrange(3_000_000))
    return tree
