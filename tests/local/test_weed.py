"""How SeaweedFS is found, told what to do, and asked whether it is there."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.local import weed

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = weed.Ports(s3=11001, filer=11002, volume=11003, master=11004, admin=11005)


def listening() -> socket.socket:
    """A socket that occupies a port of loopback."""
    server = socket.socket()
    server.bind((weed.HOST, 0))
    server.listen()
    return server


@contextmanager
def serving(answer: object) -> Iterator[int]:
    """A server that answers every request with ``answer`` as JSON; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base class names it so
            pass

    with HTTPServer((weed.HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def topology(*volumes: int) -> object:
    """What a master says of volume servers that have reported so many volumes each; none, of none."""
    racks = [{"DataNodes": [{"Volumes": count} for count in volumes]}] if volumes else None
    return {"Topology": {"DataCenters": [{"Racks": racks}] if volumes else None}}


def command() -> list[str]:
    return weed.arguments(data=Path("/d/data"), identities=Path("/d/credentials.json"), ports=PORTS)


def test_the_server_listens_on_loopback_only() -> None:
    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1"} <= set(command())


def test_nothing_is_reported_to_anybody() -> None:
    assert "-master.telemetry=false" in command()


def test_services_that_s3_does_not_need_are_off() -> None:
    off = {"-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"}
    assert off <= set(command())


def test_buckets_behave_as_on_s3() -> None:
    assert {"-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false"} <= set(command())


def test_the_master_leads_before_anybody_reports_to_it() -> None:
    assert "-master.resumeState=false" in command()


def test_every_service_has_its_own_port() -> None:
    ports = {argument for argument in command() if ".port=" in argument}
    assert ports == {
        "-s3.port=11001",
        "-filer.port=11002",
        "-volume.port=11003",
        "-master.port=11004",
        "-admin.port=11005",
    }


def test_the_users_variables_do_not_reach_the_server() -> None:
    environ = {"PATH": "/bin", "AWS_ACCESS_KEY_ID": "AKIA", "S3_BUCKET": "mine", "WEED_S3_SSE_KEK": "x"}
    assert weed.process_environment(environ) == {"PATH": "/bin", "GOMEMLIMIT": "512MiB"}


def test_the_user_may_grant_more_memory() -> None:
    assert weed.process_environment({"GOMEMLIMIT": "2GiB"}) == {"GOMEMLIMIT": "2GiB"}


def test_the_program_beside_this_python_is_taken() -> None:
    assert weed.find_weed() == str(Path(sys.executable).with_name("weed"))


def test_otherwise_the_program_on_the_path_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "weed"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert weed.find_weed() == str(program)


def test_a_missing_program_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        weed.find_weed()
    assert "haulyard[local]" in raised.value.hint


def test_ports_are_distinct_and_below_the_range_for_outgoing_connections() -> None:
    ports = next(weed.candidate_ports(None, random.Random(1)))
    numbers = [ports.s3, ports.filer, ports.volume, ports.master, ports.admin]
    assert len(set(numbers)) == 5
    assert all(number > 1024 and number + weed.GRPC_OFFSET < 32_768 for number in numbers)


def test_the_ports_of_the_last_time_come_first() -> None:
    earlier = next(weed.candidate_ports(None, random.Random(2)))
    assert next(weed.candidate_ports(earlier, random.Random(3))) == earlier


def test_ports_of_the_last_time_that_are_taken_are_passed_over() -> None:
    with listening() as server:
        taken = weed.Ports(server.getsockname()[1], *list(range(11002, 11006)))
        assert next(weed.candidate_ports(taken, random.Random(3))) != taken


def test_a_port_whose_grpc_sibling_is_taken_is_not_chosen() -> None:
    first = weed.free_port(random.Random(9))
    with socket.socket() as sibling:
        sibling.bind((weed.HOST, first + weed.GRPC_OFFSET))
        sibling.listen()
        assert weed.free_port(random.Random(9)) != first


def test_a_stranger_on_the_port_is_not_our_server() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        with closing(socket.create_connection((weed.HOST, port))) as waiting:
            assert not weed.answers(port, "HAULKEY")
            assert waiting.fileno() > 0


def test_nobody_on_the_port_is_no_answer() -> None:
    with listening() as server:
        port = server.getsockname()[1]
    assert not weed.answers(port, "HAULKEY")


@pytest.mark.parametrize(
    ("master", "volumes", "expected"),
    [
        pytest.param(topology(), [], False, id="no volume server has reported"),
        pytest.param(topology(1), [{}, {}], False, id="it has not reported all it holds"),
        pytest.param(topology(2), [{}, {}], True, id="it has reported all it holds"),
        pytest.param(topology(0), None, True, id="it holds none yet"),
        pytest.param({"error": "not the leader"}, [], False, id="the master answers something else"),
    ],
)
def test_volumes_are_known_when_their_server_has_reported_them(
    master: object, volumes: object, expected: bool
) -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(answer)) for answer in (master, {"Volumes": volumes})]
        assert weed.knows_its_volumes(weed.Ports(1, 2, ports[1], ports[0], 5)) is expected


def test_where_nobody_answers_no_volumes_are_known() -> None:
    with listening() as master:
        port = master.getsockname()[1]
    assert not weed.knows_its_volumes(weed.Ports(1, 2, port, port, 5))
