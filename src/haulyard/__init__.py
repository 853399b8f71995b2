"""Moves data into, out of and inside S3 and S3-compatible stores, and accounts for every object."""

from haulyard._version import __version__

__all__ = ["__version__"]
