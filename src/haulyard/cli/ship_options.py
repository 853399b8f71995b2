"""What `haul ship` was asked for: its flags judged, before any file or variable is looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from haulyard.cli.properties import put_options
from haulyard.config.kinds import parse_duration
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from haulyard.models import PutOptions
    from haulyard.transfer.filters import Filter

#: Settings that only this command has, and those that also are, under the same flag, of single requests.
OWN: Final = ("use_date_folders", "retries", "retry_base_delay")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; ``settings`` are flags that are settings of this command. Times are in seconds."""

    directory: str
    to: str
    watch: bool
    settle: float
    rescan: float
    filters: Filter
    date_from: str
    key_template: str
    after: str
    move_to: str
    on_conflict: str
    source: str
    put: PutOptions
    health: str
    batch_manifest: bool
    batch_every: float
    notify: str
    settings: Mapping[str, object] = field(default_factory=dict)


def read(arguments: Namespace) -> Options:
    """Validate the arguments.

    Raises:
        ConfigError: One of them is not what it has to be, or does not go with another.
    """
    from haulyard.transfer.filters import Filter

    if arguments.once and arguments.watch:
        raise ConfigError("--once and --watch exclude each other", hint="leave one of them out")
    if (arguments.after == "move") != bool(arguments.move_to):
        raise ConfigError(
            "--after move and --move-to DIR go together", hint="write --after move --move-to DIR"
        )
    return Options(
        directory=arguments.directory,
        to=arguments.to,
        watch=arguments.watch,
        settle=_time("--settle", arguments.settle),
        rescan=_time("--rescan", arguments.rescan or "60"),
        filters=Filter(arguments.filters),
        date_from=arguments.date_from,
        key_template=arguments.key_template,
        after=arguments.after,
        move_to=os.path.abspath(arguments.move_to) if arguments.move_to else "",
        on_conflict=arguments.on_conflict,
        source=arguments.source,
        put=put_options(arguments),
        health=arguments.health,
        batch_manifest=arguments.batch_manifest,
        batch_every=_time("--batch-every", arguments.batch_every or "60"),
        notify=arguments.notify,
        settings={name: getattr(arguments, name, None) for name in OWN},
    )


def _time(flag: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise ConfigError(f"{flag} {text!r} is no time", hint=f"write {flag} 5s") from None
