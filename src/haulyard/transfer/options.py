"""How objects are moved: what the flags of `cp`, `mv` and `sync` come down to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from haulyard.config.settings import default_state_dir
from haulyard.models import PutOptions

if TYPE_CHECKING:
    from haulyard.models import Encryption


#: Parts of one object that are under way.
PART_CONCURRENCY: Final = 8


def _state_dir() -> str:
    return default_state_dir(os.environ)


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """Settings of one run.

    ``put`` are the properties that every destination gets; its ``content_type`` is guessed from the name
    where it is empty and ``guess_content_type``. ``source_encryption`` is the SSE-C key of the source.
    ``part_size`` in bytes (0 chooses), ``part_concurrency`` counts parts of one object under way.
    ``no_clobber`` never replaces what exists. ``replace_metadata`` makes a copy take its properties from
    ``put`` instead of from the source. ``state_dir`` holds what a killed upload needs to be continued.
    ``algorithm`` is the checksum computed of what is moved; ``none`` computes none. ``durable`` waits until a
    downloaded file survives a power failure: what is moved has no other copy then.
    """

    put: PutOptions = field(default_factory=PutOptions)
    guess_content_type: bool = True
    source_encryption: Encryption | None = None
    part_size: int = 0
    part_concurrency: int = PART_CONCURRENCY
    no_clobber: bool = False
    replace_metadata: bool = False
    replace_tags: bool = False
    state_dir: str = field(default_factory=_state_dir)
    algorithm: str = "CRC64NVME"
    durable: bool = False
