"""Every setting of Haulyard, where its value may come from, and which of several wins."""

from haulyard.config.resolve import resolve
from haulyard.config.settings import SETTINGS, Setting, Settings

__all__ = ["SETTINGS", "Setting", "Settings", "resolve"]
