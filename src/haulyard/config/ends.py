"""What a job remembers of the settings: which stores it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.config.settings import Settings

#: Settings that say which store is meant; a job remembers them, so that it goes on where it began.
ENDS: Final = (
    "endpoint_url",
    "profile",
    "region",
    "no_sign_request",
    "addressing",
    "source_endpoint_url",
    "source_profile",
    "source_region",
)


def ends_of(settings: Settings) -> dict[str, object]:
    """Return the settings that say which stores are meant."""
    return {name: getattr(settings, name) for name in ENDS}


def with_ends(settings: Settings, ends: Mapping[str, Any], **others: Any) -> Settings:  # noqa: ANN401 -- as of settings
    """Return ``settings`` with the ``ends`` that a job remembers, and ``others`` that it has decided on.

    A flag goes before what the job remembers: keys may have a new profile, a server a new port.
    """
    origins = dict(settings.origins)
    remembered = {name: value for name, value in ends.items() if not origins.get(name, "").startswith("--")}
    if remembered.get("profile", settings.profile) != settings.profile:
        # The profile is the job's choice, as a flag would be: it goes before keys in the environment.
        origins["profile"] = "--profile"
    return replace(settings, **remembered, **others, origins=origins)
