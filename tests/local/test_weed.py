"""How SeaweedFS is found, told what to do, and asked whether it is there."""

from __future__ import annotations

import random
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from haulyard.errors import ConfigError
from haulyard.local import weed

PORTS = weed.Ports(s3=11001, filer=11002, volume=11003, master=11004, admin=11005)


def listening() -> socket.socket:
    """A socket that occupies a port of loopback."""
    server = socket.socket()
    server.bind((weed.HOST, weed.free_port(random.Random(7))))
    server.listen()
    return server


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
    assert not weed.answers(weed.free_port(random.Random(5)), "HAULKEY")
