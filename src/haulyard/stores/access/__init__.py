"""What an endpoint really does, and what the caller may do there: asked with objects of our own.

- `prove`: conditions, checksums and the order of listings, once for each endpoint, before work that writes;
- `check_access`: every permission that the commands need, for `haul doctor`.

Both work in a prefix of their own (`haulyard.stores.access.space`) and leave nothing behind.
"""

from haulyard.stores.access.capabilities import prove
from haulyard.stores.access.permissions import Probe, check_access

__all__ = ["Probe", "check_access", "prove"]
