"""Which operations have to wait for others, and which wait for themselves.

Within one store, an operation that writes to ``b`` has to wait for the one that takes the object ``b`` away,
or copies it. All operations with one destination are one *group*: their destination is its name, and each
waits for the one before it. An object is the source of one operation only, so a group waits for one operation
at most, and with it for that one's group: groups form trees, and circles with trees hanging from them. The
roots of the trees wait for nothing. What cannot be reached from a root waits for a circle: no order of it is
safe.

::

    a → b,  b → c           c is a root; b waits for b → c, and starts in wave 1
    a → b,  b → a           neither group is reached
    a → b,  x → b,  b → c   b starts in wave 1: a → b has wave 1, x → b wave 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

# ``link``: the group ``name`` waits for an operation of the group ``via``, and starts ``step`` waves later.
# ``start``: the first wave of each group that takes part and can be reached.
SCHEMA: Final = """
CREATE TABLE link(name TEXT PRIMARY KEY, via TEXT, step INTEGER) WITHOUT ROWID;
CREATE TABLE start(name TEXT PRIMARY KEY, wave INTEGER) WITHOUT ROWID;
"""
# A name that two operations take away (a manifest can name it twice) is free when the last of them has ended.
_LINKS: Final = """
INSERT INTO link
SELECT key, destination, step FROM (
  SELECT key, destination, rank + 1 AS step, row_number() OVER (PARTITION BY key ORDER BY place DESC) AS nth
  FROM op WHERE version = '' AND key <> destination AND key IN (SELECT destination FROM op))
WHERE nth = 1
"""
_INDEX: Final = "CREATE INDEX link_by_via ON link(via, name, step)"
# Each link is followed once, for each name has one: the work grows with their number, not with the length
# of the chains.
_STARTS: Final = """
INSERT INTO start
WITH RECURSIVE reached(name, wave) AS (
  SELECT DISTINCT via, 0 FROM link WHERE via NOT IN (SELECT name FROM link)
  UNION ALL
  SELECT link.name, reached.wave + link.step FROM reached JOIN link ON link.via = reached.name)
SELECT name, wave FROM reached
"""


def arrange(connection: sqlite3.Connection) -> None:
    """Fill the tables ``link`` and ``start`` (see `SCHEMA`) from the table ``op``.

    ``op`` has the columns place, key, version, destination, and rank: which of its group it is, from 0.
    """
    connection.execute(_LINKS)
    connection.execute(_INDEX)
    connection.execute(_STARTS)
