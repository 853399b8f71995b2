"""Events by `haul spool` into files and by `haul ship --watch` into a store, both killed over and over.

Whoever sends events sends again what was not acknowledged. `make soak` kills twenty times; HAUL_SOAK_SEED
repeats one.
"""

from __future__ import annotations

import json
import os
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from tests.e2e.conftest import Program, bare_environment

from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Repeats a soak; read here, before the settings of whoever runs the tests are taken away.
SEED = os.environ.get("HAUL_SOAK_SEED", "")
_PATIENCE = 60
_SPOOL = ("spool", "events", "--socket", "s", "--format", "xml", "--max-events", "20", "--max-age", "200ms")
_SHIP = ("ship", "events", "--to", "s3://bucket/p/", "--settle", "0", "--after", "delete")


@dataclass
class Way:
    """Both programs, and who sends events."""

    haul: Program
    notify: socket.socket
    chance: random.Random
    acknowledged: int = 0

    def spool(self) -> subprocess.Popen[bytes]:
        """Start `haul spool`, and return once it listens."""
        process = self.haul.start(*_SPOOL)
        self.notify.settimeout(_PATIENCE)
        while b"READY=1" not in self.notify.recv(1000):
            pass
        return process

    def send(self, least: int, killed: subprocess.Popen[bytes] | None = None) -> None:
        """Have ``least`` events acknowledged; ``killed`` is killed when the next ones are on their way."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionError):
            connection.settimeout(_PATIENCE)
            connection.connect(str(self.haul.cwd / "s"))
            answers = connection.makefile("rb")
            before, until = self.acknowledged, self.acknowledged + least
            while self.acknowledged < until or killed is not None:
                batch = range(self.acknowledged, self.acknowledged + self.chance.randrange(1, 12))
                connection.sendall(b"".join(b'<e id="%d"/>' % number for number in batch))
                if self.acknowledged >= until and killed is not None:
                    killed.kill()
                while self.acknowledged < batch.stop:
                    line = answers.readline()
                    if not line.endswith(b"\n"):
                        return
                    self.acknowledged = before + json.loads(line)["events"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def way(place: Path, server: FaultServer) -> Iterator[Way]:
    environ = {
        **bare_environment(place),
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        "NOTIFY_SOCKET": str(place / "notify"),
    }
    (place / "events").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(environ["NOTIFY_SOCKET"])
        yield Way(Program(place, environ), notify, random.Random(1))


def go(way: Way, server: FaultServer, kills: int) -> None:
    quiet = {name: value for name, value in way.haul.environ.items() if name != "NOTIFY_SOCKET"}
    shipping = Program(way.haul.cwd, quiet)
    for _ in range(kills):
        spool, ship = way.spool(), shipping.start(*_SHIP, "--watch")
        try:
            way.send(60)
            shipped = len(server.requests) + way.chance.randrange(1, 8)
            server.wait_for(lambda _: True, _PATIENCE, count=shipped)
            ship.kill()
            way.send(way.chance.randrange(40), spool)
        finally:
            for process in (spool, ship):
                process.kill()
                _, said = process.communicate()
                assert process.returncode == -9, said.decode()
    # An empty standard input: what was left is repaired, and that is all.
    way.haul.ok("spool", "events", "--format", "xml")
    shipping.ok(*_SHIP)
    assert list((way.haul.cwd / "events").glob("*.xml*")) == []
    arrived = [
        int(each.attrib["id"])
        for bucket, key in server.objects
        if ".haul-" not in key
        for each in ET.fromstring(server.objects[bucket, key])  # noqa: S314 -- it was made here
    ]
    missing = set(range(way.acknowledged)) - set(arrived)
    assert not missing, f"{len(missing)} of {way.acknowledged} acknowledged events are lost"
    # What arrived twice was sent twice: it was on its way at a kill.
    assert len(arrived) - len(set(arrived)) <= kills * 12


def test_killed_a_few_times_no_event_is_lost(way: Way, server: FaultServer) -> None:
    go(way, server, 3)


@pytest.mark.soak
def test_soak_killed_twenty_times(
    way: Way, server: FaultServer, record_property: Callable[[str, object], None]
) -> None:
    seed = int(SEED or random.SystemRandom().randrange(1 << 32))
    record_property("HAUL_SOAK_SEED", seed)
    way.chance.seed(seed)
    go(way, server, 20)
