"""How fast, how much CPU, how much memory: Haulyard and its peers, side by side (`make bench`).

One file per comparison. What they share: ``comparison`` (its values), ``harness`` (measures whole processes),
``tools`` (the programs), ``servers``, ``inputs`` and ``canned`` (what they work on), ``report`` and ``chart``
(what is made of the numbers), ``peers`` (scripts around the Python libraries).
"""
