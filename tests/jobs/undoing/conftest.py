"""The same quick directory as for applying."""

from __future__ import annotations

from tests.jobs.applying.conftest import quick_path

__all__ = ["quick_path"]
