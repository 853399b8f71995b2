"""What becomes of a record before it is sent: sampled, cut down to fields, renamed, transformed.

Where nothing of that is asked for, rows go as they were read, and cost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import blake2b
from importlib import import_module
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import ConfigError, RecordError
from haulyard.records import values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from haulyard.records.model import Address

    #: A record in; a record, several, or None for none out.
    Transform = Callable[[Any], Any]

_HASHES: Final = 1 << 32


class Shaper:
    """Shapes records, one at a time.

    Args:
        fields: Names to keep, in this order; empty for all.
        renames: New names by old ones.
        transform: Is called with each record; what it returns is sent.
        sample: The fraction of records that are taken, chosen by their addresses: the same in every run.
    """

    def __init__(
        self,
        fields: Sequence[str] = (),
        renames: Mapping[str, str] | None = None,
        transform: Transform | None = None,
        sample: float = 1.0,
    ) -> None:
        self._fields = tuple(fields)
        self._renames = dict(renames or {})
        self._transform = transform
        self._least = round(sample * _HASHES)
        self._touches = bool(self._fields or self._renames or transform)

    @property
    def is_plain(self) -> bool:
        """Whether all records go as they were read."""
        return not self._touches and self._least >= _HASHES

    def takes(self, address: Address) -> bool:
        """Whether the record is of the sample."""
        # A CRC would take neighbours together: it is linear.
        return self._least >= _HASHES or (
            int.from_bytes(blake2b(str(address).encode(), digest_size=4).digest()) < self._least
        )

    def values(self, record: bytes, address: Address) -> Sequence[bytes]:
        """Return what is sent of a record, nothing where it is passed over; raises as the transform does."""
        if not self.takes(address):
            return ()
        if not self._touches:
            return (record,)
        value = values.loads(record)
        if (self._fields or self._renames) and isinstance(value, dict):
            value = self._cut(value)
        if self._transform is None:
            return (values.dumps(value),)
        made = self._transform(value)
        if made is None:
            return ()
        if isinstance(made, (list, tuple, Iterator)):
            return [values.dumps(each) for each in made if each is not None]
        return (values.dumps(made),)

    def _cut(self, record: dict[str, Any]) -> dict[str, Any]:
        names = self._fields or tuple(record)
        renames = self._renames
        if self._fields:
            missing = [name for name in names if name not in record]
            if missing:
                raise RecordError(f"the record has no field {missing[0]!r}")
        cut = {renames.get(name, name): record[name] for name in names}
        if len(cut) < len(names):
            raise RecordError("two fields of the record would have the same name")
        return cut


def load_transform(name: str) -> Transform:
    """Return the function ``module:function``, found from the current directory as well.

    Raises:
        ConfigError: There is no such module or function, or it cannot be called without waiting.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"--transform {name!r} is no module:function", hint="write --transform mine:clean")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"--transform {name}: {error}", hint="the module is looked for in this directory, too"
        ) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"--transform {name}: {module} raised {type(error).__name__}: {error}") from error
    if not callable(found) or iscoroutinefunction(found) or isasyncgenfunction(found):
        raise ConfigError(f"--transform {name} is no plain function", hint="def clean(record): return record")
    function: Transform = found
    return function
