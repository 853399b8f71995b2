"""Every command keeps the frame's contract."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from haulyard.cli.commands import COMMANDS, load
from haulyard.cli.flags import takes_value
from haulyard.cli.parsing import build

if TYPE_CHECKING:
    from tests.cli.conftest import Box


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_command_has_two_examples_of_itself(verb: str) -> None:
    examples = load(verb).EXAMPLES
    assert len(examples) == 2
    assert all(re.search(rf"\bhaul {verb}\b", example) for example in examples)


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_command_explains_itself(verb: str, haul: Box) -> None:
    result = haul(verb, "--help")
    assert result.code == 0
    assert f"usage: haul {verb}" in result.out
    assert result.err == ""


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_flag_that_takes_a_value_does_so_everywhere(verb: str) -> None:
    known = takes_value()
    for name, action in build(verb, load(verb)).flags().items():
        if name in known:
            assert known[name] == (action.nargs is None), name


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_flag_has_help(verb: str) -> None:
    assert all(action.help for action in build(verb, load(verb)).flags().values())
