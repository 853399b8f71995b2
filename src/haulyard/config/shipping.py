"""The settings of `haul ship` alone, by the names that its users have in their environment.

They are resolved by that command only (`haulyard.config.resolve.resolve_owned`). ``retries`` and
``retry_base_delay`` have the names of settings of single requests, and values of their own: here they are
about whole files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from haulyard.config.kinds import DURATION, FLAG, TEXT, count
from haulyard.config.processing import BUCKET
from haulyard.config.settings import Setting, setting, table_of


@dataclass(frozen=True, slots=True)
class ShipSettings:
    """What `haul ship` takes from flags, the environment, ``.env`` and ``haul.toml``.

    A file that fails for reasons of its own is tried ``retries`` times, the first pause being
    ``retry_base_delay`` seconds.
    """

    spool_dir: str = setting("", TEXT, "directory of the rotated files")
    bucket_name: str = setting("", BUCKET, "bucket that they go to", names=("BUCKET_NAME",))
    prefix: str = setting("xml-events/", TEXT, "what their keys begin with; / for nothing", names=("PREFIX",))
    use_date_folders: bool = setting(
        False,  # noqa: FBT003 -- a switch is declared by its default
        FLAG,
        "put 2025/07/29/ before the name",
        names=("USE_DATE_FOLDERS",),
        flag="--date-folders",
    )
    retries: int = setting(5, count(1, 1_000), "tries of a file", names=("MAX_RETRIES",))
    retry_base_delay: float = setting(
        1.0, DURATION, "first pause before a file is tried again; it doubles", names=("RETRY_BASE_DELAY",)
    )


#: Each of them by name.
SHIPPING: Final[dict[str, Setting]] = table_of(ShipSettings)
