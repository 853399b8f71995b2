"""Show the value of every setting and where it came from. Secrets are masked.

Behind those that commands share come those of haul process and haul ship. The variable that sets one is HAUL_
and its name in capitals; --json tells it, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags
from haulyard.config import PROCESSING, SETTINGS, SHIPPING, ProcessSettings, ShipSettings
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from haulyard.cli.context import Context
    from haulyard.config import Setting, Settings

EXAMPLES = ("haul config", "haul config --region eu-central-1 --json")

# Variables of the credential chain that may be in the environment or in .env.
_KEY_ID = "AWS_ACCESS_KEY_ID"
_CREDENTIALS = (_KEY_ID, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_VISIBLE = 4


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing but the settings themselves."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting."""

    kind: ClassVar[str] = "setting"

    name: str
    value: object
    origin: str
    variable: str
    help: str
    width: int = 0
    """Of the column of origins."""

    def text(self) -> str:
        """Return a line: name, origin, value, which may be long and stands last."""
        value = "-" if self.value in {"", None} else escape(str(self.value))
        return f"{self.name:30} {self.origin:{self.width}} {value}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "name": self.name,
            "value": self.value,
            "origin": self.origin,
            "variable": self.variable,
            "help": self.help,
        }


def configure(parser: ArgumentParser) -> None:
    """Declare the flags: all that are settings, so that their effect can be seen."""
    flags.add(parser, flags.CONNECTION, flags.SOURCE, flags.TRANSFER, flags.OUTPUT, flags.PROGRESS)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    del arguments
    return Options()


def run(options: Options, context: Context) -> int:
    """Show the settings."""
    del options
    settings = context.settings
    values = [
        *_settings(settings),
        *_owned("process", PROCESSING, ProcessSettings, context),
        *_owned("ship", SHIPPING, ShipSettings, context),
        *_credentials(settings),
    ]
    width = max(len(value.origin) for value in values)
    context.output.results(replace(value, width=width) for value in values)
    return exits.OK


def mask(secret: str) -> str:
    """Return a secret with all but its last characters hidden, and nothing of a short one."""
    return "****" + (secret[-_VISIBLE:] if len(secret) >= 4 * _VISIBLE else "")


def mask_key_id(key_id: str) -> str:
    """Return an access key id without its middle, as `haul doctor` shows it."""
    return (key_id[:_VISIBLE] if len(key_id) >= 4 * _VISIBLE else "") + mask(key_id)


def _settings(settings: Settings) -> list[Value]:
    return [
        Value(name, getattr(settings, name), settings.origins[name], setting.variable, setting.help)
        for name, setting in SETTINGS.items()
    ]


def _owned(verb: str, table: Mapping[str, Setting], own: type, context: Context) -> list[Value]:
    """Return the settings of one command; one that is called as a shared one is has its verb before it."""
    given, origins = context.resolve_owned(table, {})
    values = own(**given)
    return [
        Value(
            f"{verb}.{name}" if name in SETTINGS else name,
            _visible(getattr(values, name)),
            origins.get(name, "default"),
            setting.variable,
            setting.help,
        )
        for name, setting in table.items()
    ]


def _visible(value: object) -> object:
    """Return a setting without the query of a URL, which may hold a key."""
    if isinstance(value, str) and "?" in value:
        return f"{value.partition('?')[0]}?…"
    return value


def _credentials(settings: Settings) -> list[Value]:
    found = []
    for name in _CREDENTIALS:
        value = settings.environment.get(name, "")
        if value:
            shown = mask_key_id(value) if name == _KEY_ID else mask(value)
            found.append(Value(name.lower(), shown, name, name, "credentials, before those of the profile"))
    return found
