"""`haul local`, with a server that only says that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from haulyard.local import EmbeddedStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Box


class Server:
    """The four verbs of `EmbeddedStore`."""

    runs = False

    def __init__(self, data_dir: str) -> None:
        self.data_dir = Path(data_dir)

    def start(self) -> EmbeddedStatus:
        type(self).runs = True
        return self.status()

    def stop(self) -> bool:
        was, type(self).runs = self.runs, False
        return was

    def status(self) -> EmbeddedStatus:
        url = "http://127.0.0.1:1" if self.runs else ""
        pid = 7 if self.runs else None
        return EmbeddedStatus(self.data_dir, self.runs, url, pid, self.data_dir / "c", self.data_dir / "l")

    def run(self, on_ready: Callable[[EmbeddedStatus], None]) -> None:
        on_ready(self.start())
        self.stop()

    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "it's"}


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulyard.local.EmbeddedStore", Server)
    Server.runs = False


def test_it_starts_says_where_and_stops(haul: Box) -> None:
    assert haul("local", "status").out == "not running; its data are in .haul/local\n"
    started = haul("local", "start")
    assert started.out.startswith("running at http://127.0.0.1:1 (process 7)\ndata in .haul/local")
    assert "it's" not in started.out
    assert haul("local", "stop").err == "stopped: the embedded store in .haul/local\n"
    assert haul("local", "stop").err == "not running: the embedded store in .haul/local\n"


def test_a_shell_that_points_to_what_was_stopped_is_reminded(haul: Box) -> None:
    haul("local", "start")
    haul.environ["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
    assert "unset AWS_ENDPOINT_URL_S3 AWS_ACCESS_KEY_ID" in haul("local", "stop").err


def test_a_shell_can_eval_its_variables(haul: Box) -> None:
    exported = haul("local", "start", "--export")
    assert exported.err == "using the embedded store in .haul/local\n"
    assert exported.out == (
        "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:1\nexport AWS_SECRET_ACCESS_KEY='it'\"'\"'s'\n"
    )


def test_the_directory_is_that_of_the_flag_or_the_setting(haul: Box) -> None:
    haul.environ["HAUL_LOCAL_DIR"] = "/one"
    assert haul("local", "status", "--json").events[0]["data_dir"] == "/one"
    assert haul("local", "status", "--json", "--dir", "/two").events[0]["data_dir"] == "/two"


def test_run_stays_until_it_ends(haul: Box) -> None:
    result = haul("local", "run", "--json")
    assert (result.code, result.events[0]["running"]) == (0, True)
    assert not Server.runs


def test_an_unknown_action_is_refused(haul: Box) -> None:
    assert haul("local", "restart").code == 2
