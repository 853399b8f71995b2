"""From words to an exit code."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.cli import commands, dispatch, exits
from haulyard.cli.commands import COMMANDS
from haulyard.errors import ConfigError, S3NetworkError, S3RegionError
from haulyard.events import RequestDone, TransferDone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Box, Probe

    from haulyard.cli.context import Context


def test_help_lists_every_command(haul: Box) -> None:
    result = haul("--help")
    assert result.code == 0
    assert all(f"  {verb} " in result.out and each.summary in result.out for verb, each in COMMANDS.items())


def test_nothing_at_all_shows_the_help_and_is_wrong_usage(haul: Box) -> None:
    assert (haul().code, haul().out) == (2, haul("--help").out)


def test_an_unknown_verb_gets_the_nearest(haul: Box) -> None:
    result = haul("lss")
    assert (result.code, result.err) == (2, "haul: lss is not a command\n  did you mean haul ls?\n")
    assert "haul --help lists the commands" in haul("quux").err


def test_an_unknown_flag_gets_the_nearest(haul: Box) -> None:
    result = haul("ls", "--regoin", "x")
    assert result.code == 2
    assert result.err == "haul ls: --regoin is not a flag of haul ls\n  did you mean --region?\n"


def test_flags_are_not_abbreviated(haul: Box) -> None:
    assert haul("ls", "--recurs").code == 2


def test_usage_errors_are_json_where_json_is_wanted(haul: Box) -> None:
    import json

    error = json.loads(haul("ls", "--json", "--nope").err)
    assert (error["event"], error["error"]) == ("error", "ConfigError")


def test_shared_flags_may_stand_before_the_verb(haul: Box, probe: Probe) -> None:
    assert haul("--region", "r1", "--json", "--exclude=x", "probe", "a", "-q", "b").code == 0
    assert probe.seen.words == ["a", "b"]
    assert (probe.seen.quick, probe.seen.region) == (True, "r1")
    before = haul("-q", "probe")
    assert before.code == 2
    assert "-q is not a flag that may stand before the verb" in before.err
    assert haul("--region", "x").code == 2


def test_flags_and_positionals_mix(haul: Box, probe: Probe) -> None:
    haul("probe", "a", "--region", "r", "b", "--", "--c", "-")
    assert probe.seen.words == ["a", "b", "--c", "-"]
    haul("probe", "-", "a")
    assert probe.seen.words == ["-", "a"]


def test_filters_keep_their_order(haul: Box, probe: Probe) -> None:
    haul("probe", "--exclude", "*", "--include", "*.txt", "--exclude", "a*")
    assert probe.seen.filters == ((False, "*"), (True, "*.txt"), (False, "a*"))


def test_help_of_a_command_shows_its_examples_and_how_to_try_them(haul: Box) -> None:
    result = haul("ls", "--help")
    assert result.code == 0
    assert "haul ls s3://demo/ --recursive" in result.out
    assert commands.TRY in result.out
    assert "(HAUL_REGION)" in result.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("wrong", hint="do better"), exits.USAGE),
        (S3NetworkError("gone"), exits.TEMPORARY),
        (S3RegionError("elsewhere"), exits.USAGE),
        (FileNotFoundError(2, "No such file or directory", "x"), exits.NOT_FOUND),
        (PermissionError(13, "Permission denied", "x"), exits.DENIED),
        (OSError(28, "No space left on device", "x"), exits.FAILED),
        (KeyboardInterrupt(), exits.INTERRUPTED),
        (BrokenPipeError(), exits.BROKEN_PIPE),
        (ExceptionGroup("several", [ValueError("x"), ExceptionGroup("in", [ConfigError("wrong")])]), 2),
    ],
)
def test_every_error_has_its_exit_code(haul: Box, probe: Probe, error: BaseException, code: int) -> None:
    def fail(_: Context) -> int:
        raise error

    probe.does = fail
    result = haul("probe")
    assert result.code == code
    assert "Traceback" not in result.err


def test_an_error_is_one_line_and_its_hint_another(haul: Box, probe: Probe) -> None:
    async def fail(_: Context) -> int:
        raise ConfigError("it went\nwrong", hint="do better")

    probe.does = fail
    assert haul("probe").err == "haul probe: it went\\nwrong\n  do better\n"


def test_a_bug_says_so_and_only_debug_shows_the_stack(haul: Box, probe: Probe) -> None:
    def fail(_: Context) -> int:
        raise RuntimeError("surprise")

    probe.does = fail
    plain = haul("probe")
    assert (plain.code, plain.err.splitlines()[0]) == (1, "haul probe: unexpected RuntimeError: surprise")
    assert "Traceback" in haul("probe", "--log-level", "debug").err
    assert "Traceback" in haul("--log-level=debug", "probe").err


def test_connections_are_shared_by_settings_and_closed_at_the_end(haul: Box, probe: Probe) -> None:
    haul.bucket({})

    async def use(context: Context) -> int:
        assert context.connection() is context.connection()
        assert context.connection(source=True) is context.connection()
        other = context.inside(context.resolve({"region": "other"}), context.output)
        assert other.connection() is not context.connection()
        return 0

    probe.does = use
    assert haul("probe").code == 0
    assert [connection.closed for connection in haul.connections] == [1, 1]
    assert [connection.settings.region for connection in haul.connections] == ["", "other"]


def test_connections_are_closed_after_an_error_too(haul: Box, probe: Probe) -> None:
    async def fail(context: Context) -> int:
        context.connection()
        raise ConfigError("late")

    probe.does = fail
    assert haul("probe").code == 2
    assert haul.connections[0].closed == 1


def test_the_source_side_has_its_own_connection(haul: Box, probe: Probe) -> None:
    async def use(context: Context) -> int:
        context.connection()
        context.connection(source=True)
        return 0

    probe.does = use
    haul.environ["HAUL_SOURCE_ENDPOINT_URL"] = "http://source:1"
    assert haul("probe").code == 0
    assert [each.settings.endpoint_url for each in haul.connections] == ["", "http://source:1"]


def test_mistyped_variables_are_warned_of(haul: Box, probe: Probe) -> None:
    haul.environ["HAUL_REGOIN"] = "x"
    assert "warning: HAUL_REGOIN is not a variable" in haul("probe").err


def test_windows_is_said_to_be_unsupported(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_SUPPORTED", False)
    assert (haul("ls").code, "Windows is not supported" in haul("ls").err) == (2, True)


def test_numbers_are_said_at_the_end_on_request(haul: Box, probe: Probe) -> None:
    async def work(context: Context) -> int:
        context.emit(RequestDone("GetObject", "b", "k", 200, 1, 0.01, 0, 5))
        return 0

    probe.does = work
    assert "info: GetObject: 1 requests" in haul("probe", "--log-level", "info").err
    assert haul("probe").err == ""


def test_a_progress_bar_is_drawn_where_it_is_wanted(
    haul: Box, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.observe.progress._PATIENCE", 0.0)

    async def work(context: Context) -> int:
        with context.progress() as expect:
            expect(1, 1024)
            context.emit(TransferDone("upload", "a", "b", 1024))
            context.output.note("said")
        with context.inside(context.settings, context.output).progress() as expect:
            expect(1, 1)
        return 0

    probe.does = work
    assert haul("probe").err == "said\n"
    monkeypatch.setitem(haul.environ, "HAUL_PROGRESS", "yes")
    shown = haul("probe").err
    assert "1.00k/1.00k" in shown
    assert "said\n" in shown


def test_settings_of_the_environment_count(haul: Box, probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "haul.toml").write_text("json = true")
    probe.does = lambda context: int(not context.output.as_json)
    assert haul("probe").code == 0
    (tmp_path / "haul.toml").write_text("jsn = true")
    broken = haul("probe")
    assert broken.code == 2
    assert "haul.toml, line 1: jsn is not a setting" in broken.err


def test_a_profile_that_does_not_exist_is_a_usage_error(haul: Box, probe: Probe) -> None:
    result = haul("probe", "--profile", "nobody")
    assert result.code == 2
    assert "'nobody' does not exist" in result.err


def test_main_is_the_console_script(monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> None:
    from haulyard.cli.main import main

    monkeypatch.setattr(sys, "argv", ["haul", "--version"])
    assert main() == 0
    monkeypatch.setattr(sys, "argv", ["haul", "--help"])
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=sys.stdout.buffer))
    assert main() == 0
    assert capsysbinary.readouterr().out.startswith(b"haul 0.")


def test_process_of_this_is_this_process() -> None:
    process = dispatch.Process.of_this()
    assert (process.out, process.connect) == (sys.stdout.buffer, None)


def test_codes_of_parts_combine() -> None:
    assert exits.combine([]) == 0
    assert exits.combine([0, 0]) == 0
    assert exits.combine([4, 4]) == 4
    assert exits.combine([0, 4]) == 1
    assert exits.combine([3, 4]) == 1
    assert exits.combine([0, 130, 4]) == 130


def test_help_of_a_verb_is_what_its_flag_shows(haul: Box) -> None:
    assert haul("help", "ls").out == haul("ls", "--help").out
    assert haul("help").out == haul("--help").out
    assert haul("help", "nothing").code == 2
