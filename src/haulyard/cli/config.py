"""Show the value of every setting, where it came from, and which variable sets it. Secrets are masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags
from haulyard.config import SETTINGS
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.config import Settings

EXAMPLES = ("haul config", "haul config --region eu-central-1 --json")

# Variables of the credential chain that may be in the environment or in .env, and whether they are secret.
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": False,
    "AWS_SECRET_ACCESS_KEY": True,
    "AWS_SESSION_TOKEN": True,
}
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

    def text(self) -> str:
        """Return a line: name, value, origin."""
        value = "-" if self.value in {"", None} else str(self.value)
        return f"{self.name:30} {escape(value):36} {self.origin}"

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
    context.output.results([*_settings(settings), *_credentials(settings)])
    return exits.OK


def mask(secret: str) -> str:
    """Return a secret with all but its last characters hidden, and nothing of a short one."""
    return "****" + (secret[-_VISIBLE:] if len(secret) >= 4 * _VISIBLE else "")


def _settings(settings: Settings) -> list[Value]:
    return [
        Value(name, getattr(settings, name), settings.origins[name], setting.variable, setting.help)
        for name, setting in SETTINGS.items()
    ]


def _credentials(settings: Settings) -> list[Value]:
    found = []
    for name, secret in _CREDENTIALS.items():
        value = settings.environment.get(name, "")
        if value:
            shown = mask(value) if secret else value
            found.append(Value(name.lower(), shown, name, name, "credentials, before those of the profile"))
    return found
