"""Every setting of Haulyard, where its value may come from, and which of several wins."""

from haulyard.config.processing import PROCESSING, ProcessSettings
from haulyard.config.resolve import resolve, resolve_owned
from haulyard.config.settings import SETTINGS, Setting, Settings
from haulyard.config.shipping import SHIPPING, ShipSettings

__all__ = [
    "PROCESSING",
    "SETTINGS",
    "SHIPPING",
    "ProcessSettings",
    "Setting",
    "Settings",
    "ShipSettings",
    "resolve",
    "resolve_owned",
]
