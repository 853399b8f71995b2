"""The bucket that a job works on, seen and set without the program: a quick one and a real one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from tests.crash.jobs.model import PLACEHOLDER, Objects, Thing

from haulyard.testing._s3_objects import new_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Server

    from haulyard.testing.faults import FaultServer

_META = "x-amz-meta-"


def _environment(endpoint: str, access_key: str, secret_key: str, region: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_REGION": region,
    }


class Bucket(Protocol):
    """One bucket."""

    name: str
    environ: dict[str, str]
    """How the program reaches it."""

    def fill(self, objects: Mapping[str, Thing]) -> None:
        """Make it hold these objects and no others."""
        ...

    def read(self) -> Objects:
        """Return what it holds."""
        ...

    def versions(self) -> dict[str, list[bytes]]:
        """Return the contents of all versions of all keys; markers are none."""
        ...

    def open_uploads(self) -> list[str]:
        """Return the keys of multipart uploads that were neither completed nor aborted."""
        ...


class QuickBucket:
    """A bucket of a server in this process."""

    def __init__(self, server: FaultServer) -> None:
        self.name = "bucket"
        self.environ = _environment(server.url, "any", "any", "us-east-1")
        self.server = server
        self._made: dict[Thing, Any] = {}

    def fill(self, objects: Mapping[str, Thing]) -> None:
        behaviour = self.server._behaviour
        with behaviour.lock:
            behaviour.buckets[self.name] = {key: self._stored(thing) for key, thing in objects.items()}
            for upload_id in list(behaviour.uploads.in_progress()):
                behaviour.uploads.close(upload_id)

    def _stored(self, thing: Thing) -> Any:
        if thing not in self._made:
            headers = {_META + name: value for name, value in thing.metadata}
            headers |= {"content-type": thing.content_type, "x-amz-tagging": urlencode(thing.tags)}
            self._made[thing] = new_object(thing.body, headers)
        return self._made[thing]

    def read(self) -> Objects:
        behaviour = self.server._behaviour
        with behaviour.lock:
            stored = dict(behaviour.buckets[self.name])
        return {
            key: Thing(
                each.body,
                tuple(
                    sorted(
                        (name.removeprefix(_META), value)
                        for name, value in each.headers.items()
                        if name.startswith(_META)
                    )
                ),
                tuple(sorted(each.tags.items())),
                "" if key.endswith(PLACEHOLDER) else each.headers["content-type"],
            )
            for key, each in stored.items()
        }

    def versions(self) -> dict[str, list[bytes]]:
        return {key: [thing.body] for key, thing in self.read().items()}

    def open_uploads(self) -> list[str]:
        return [key for _, key, _ in self.server.uploads]


class RealBucket:
    """A bucket of the embedded store; ``is_versioned`` from its beginning."""

    def __init__(self, s3: Any, server: Server, *, is_versioned: bool = False) -> None:
        self.name = f"crash-{uuid.uuid4().hex}"
        self.environ = _environment(server.endpoint_url, server.access_key, server.secret_key, server.region)
        self.s3 = s3
        self.is_versioned = is_versioned
        s3.create_bucket(Bucket=self.name)
        if is_versioned:
            s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def fill(self, objects: Mapping[str, Thing]) -> None:
        self._empty()
        for key, thing in objects.items():
            self.s3.put_object(
                Bucket=self.name,
                Key=key,
                Body=thing.body,
                Metadata=dict(thing.metadata),
                Tagging=urlencode(thing.tags),
                ContentType=thing.content_type,
            )

    def _empty(self) -> None:
        for upload in self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", ()):
            self.s3.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
        if self.is_versioned:
            found = self.s3.list_object_versions(Bucket=self.name)
            every = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
            items = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in every]
        else:
            items = [{"Key": key} for key in self._keys()]
        if items:
            self.s3.delete_objects(Bucket=self.name, Delete={"Objects": items, "Quiet": True})

    def _keys(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def read(self) -> Objects:
        return {key: self._read(key) for key in self._keys()}

    def _read(self, key: str) -> Thing:
        answer = self.s3.get_object(Bucket=self.name, Key=key)
        body = answer["Body"].read()
        tags: list[dict[str, str]] = []
        if answer.get("TagCount", 1):
            tags = self.s3.get_object_tagging(Bucket=self.name, Key=key)["TagSet"]
        return Thing(
            body,
            tuple(sorted((name.lower(), value) for name, value in answer["Metadata"].items())),
            tuple(sorted((tag["Key"], tag["Value"]) for tag in tags)),
            "" if key.endswith(PLACEHOLDER) else answer["ContentType"],
        )

    def versions(self) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = defaultdict(list)
        answer = self.s3.list_object_versions(Bucket=self.name)
        for each in answer.get("Versions", ()):
            got = self.s3.get_object(Bucket=self.name, Key=each["Key"], VersionId=each["VersionId"])
            found[each["Key"]].append(got["Body"].read())
        return found

    def open_uploads(self) -> list[str]:
        answer = self.s3.list_multipart_uploads(Bucket=self.name)
        return [each["Key"] for each in answer.get("Uploads", ())]
