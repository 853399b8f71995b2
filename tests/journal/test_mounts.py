from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.journal.mounts import refuse_network_filesystem

if TYPE_CHECKING:
    from pathlib import Path

_MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:30 / /srv rw - {kind} server:/export rw
31 30 254:1 / /srv/local\\040disk rw,noatime shared:7 master:1 - xfs /dev/vdb rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(_MOUNTS.format(kind="nfs4"))
    return file


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "fuse.mount-s3"])
def test_a_network_filesystem_is_refused_with_its_kind(mounts: Path, kind: str) -> None:
    mounts.write_text(_MOUNTS.format(kind=kind))
    with pytest.raises(ConfigError, match=f"network filesystem \\({kind}\\)") as caught:
        refuse_network_filesystem("/srv/jobs/not/yet/there", mounts=str(mounts))
    assert "HAUL_JOB_DIR" in caught.value.hint


@pytest.mark.parametrize("path", ["/srvx/jobs", "/", "/srv/local disk/jobs"])
def test_what_lies_beside_or_is_mounted_below_is_not(mounts: Path, path: str) -> None:
    refuse_network_filesystem(path, mounts=str(mounts))


def test_the_last_mount_on_a_point_counts(mounts: Path) -> None:
    with mounts.open("a") as file:
        file.write("40 21 0:40 / /srv rw - tmpfs tmpfs rw\n")
    refuse_network_filesystem("/srv/jobs", mounts=str(mounts))


def test_nothing_is_refused_where_mounts_are_not_listed(tmp_path: Path) -> None:
    refuse_network_filesystem(str(tmp_path), mounts=str(tmp_path / "absent"))


def test_this_machine_s_own_list_is_understood(tmp_path: Path) -> None:
    refuse_network_filesystem(str(tmp_path))
