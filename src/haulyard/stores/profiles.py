"""What an AWS profile says of the settings, for `haulyard.config.resolve`, which lies below `haulyard.s3`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def profile_values(environ: Mapping[str, str], name: str) -> Mapping[str, object]:
    """Return the values of the profile ``name``; for ``""`` those of the one that ``environ`` names.

    Raises:
        ConfigError: The profile was asked for and does not exist, or a shared file is broken.
    """
    from haulyard.s3.profile import read_profile

    return read_profile(environ, name)._asdict()
