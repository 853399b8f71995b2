"""What requests cost, from a table in a file: ``prices.toml`` beside this module, or the user's own."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Table = Mapping[str, Mapping[str, float]]

_BUILT_IN: Final = os.path.join(os.path.dirname(__file__), "prices.toml")
_KINDS: Final = ("read", "write")
#: The class whose prices hold for classes that the table does not have.
_COMMON: Final = "STANDARD"


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices for 1,000 requests; ``classes`` by storage class and ``restores`` by class and tier.

    ``source`` says whose prices they are.
    """

    source: str
    classes: Table
    restores: Table

    def request(self, kind: Literal["read", "write"], storage_class: str) -> float:
        """Return the price of one request that reads or writes an object of a storage class."""
        table = self.classes.get(storage_class or _COMMON, self.classes[_COMMON])
        return table.get(kind, self.classes[_COMMON][kind]) / 1_000

    def restore(self, storage_class: str, tier: str) -> float:
        """Return the price of one request for an archived object; what the table lacks is a write."""
        tiers = self.restores.get(storage_class, {})
        return tiers[tier] / 1_000 if tier in tiers else self.request("write", _COMMON)


def load_prices(path: str = "") -> Prices:
    """Read the table at ``path``, with what it leaves out from the one that comes with Haulyard.

    Raises:
        ConfigError: There is no such file, or it is no table of prices.
    """
    built_in = _read(_BUILT_IN)
    if not path:
        return built_in
    given = _read(path)
    return Prices(
        given.source, _merged(built_in.classes, given.classes), _merged(built_in.restores, given.restores)
    )


def _read(path: str) -> Prices:
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"the prices in {path} cannot be read: {error.strerror}", hint="name a file like prices.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is no TOML: {error}", hint="a table has lines like [class.STANDARD] and write = 0.005"
        ) from error
    if unknown := sorted(set(content) - {"currency", "source", "class", "restore"}):
        raise ConfigError(
            f"{path} has unknown keys: {', '.join(unknown)}", hint="class and restore are known"
        )
    classes = _table(content, "class", path)
    for name, kinds in classes.items():
        if strange := sorted(set(kinds) - set(_KINDS)):
            raise ConfigError(
                f"{path}: class.{name} has a price for {', '.join(strange)}", hint="read and write are known"
            )
    return Prices(str(content.get("source", path)), classes, _table(content, "restore", path))


def _table(content: Mapping[str, Any], name: str, path: str) -> Table:
    table = content.get(name, {})
    for group, prices in table.items() if isinstance(table, dict) else [(name, None)]:
        for kind, price in prices.items() if isinstance(prices, dict) else [(group, None)]:
            if (
                not isinstance(price, (int, float))
                or isinstance(price, bool)
                or not 0 <= price < float("inf")
            ):
                raise ConfigError(
                    f"{path}: {name}.{group}.{kind} is no price", hint="USD for 1,000 requests, as in 0.005"
                )
    return table if isinstance(table, dict) else {}


def _merged(base: Table, over: Table) -> Table:
    return {name: {**base.get(name, {}), **over.get(name, {})} for name in (*base, *over)}
