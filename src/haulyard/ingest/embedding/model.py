"""What is asked of an embedding, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Texts of a call at most, as OpenAI's reference of ``POST /embeddings`` says of ``input``.
MOST_TEXTS: Final = 2048
#: Calls and seconds. OpenAI's lowest paid tier allows 3,000 embedding requests a minute.
LIMITS: Final = ((50, 1.0),)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A column of vectors to be made of a column of texts.

    Args:
        model: The model, as the endpoint calls it: ``"text-embedding-3-small"``.
        column: The column of texts; ``""`` for the only one that there is.
        into: The column of vectors; ``""`` for that of the texts with ``_embedding`` behind it.
        url: The endpoint, to which ``/embeddings`` is added; ``""`` for ``OPENAI_BASE_URL`` of the
            environment, else OpenAI's own. ``${VARIABLE}`` is filled in from the environment.
        dimensions: Numbers of a vector, for models that can shorten them; 0 for what the model gives.
        limits: Calls and seconds: never more calls in any sliding period of so many seconds, retries
            included; all of them hold. Empty for no limit.
        max_in_flight: Calls in flight at most; so many may be paid for twice after a kill.
        batch: Texts of a call, at most 2,048.
        timeout: Seconds of one call.
        strict: Whether the load fails where a text has no vector; else its rows have none, and are counted.
        new: Whether vectors that were kept of a load that did not come to its end are thrown away.

    The key is ``OPENAI_API_KEY`` of the environment; it is read when a call is made, and kept nowhere.

    Raises:
        ConfigError: A number makes no sense, or there is no model.
    """

    model: str
    column: str = ""
    into: str = ""
    url: str = ""
    dimensions: int = 0
    limits: Sequence[tuple[int, float]] = LIMITS
    max_in_flight: int = 32
    batch: int = 100
    timeout: float = 120.0
    strict: bool = False
    new: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.model:
            raise ConfigError("the embedding has no model", hint="name one: text-embedding-3-small")
        if not 1 <= self.batch <= MOST_TEXTS:
            raise ConfigError(
                f"{self.batch} texts cannot go into one call", hint=f"write a number from 1 to {MOST_TEXTS}"
            )
        if self.max_in_flight < 1:
            raise ConfigError("no call may be in flight", hint="write a max_in_flight of at least 1")
        if self.dimensions < 0:
            raise ConfigError(
                f"a vector cannot have {self.dimensions} numbers", hint="write 256, say, or leave it out"
            )


@dataclass(frozen=True, slots=True)
class Embedded:
    """What an embedding came to.

    ``column`` has the texts and ``into`` the vectors of ``dimensions`` numbers, 0 where there is not one.
    ``texts`` counts the distinct texts that are not empty, ``failed`` those of them that have no vector, and
    ``samples`` are the first of these with the reasons. ``rows_without`` counts all rows without a vector,
    ``rows_failed`` those whose text failed; the others have no text, or an empty one. ``job`` is the records
    job that keeps the dead letters, in the directory ``path``; ``calls`` counts its calls, retries included.
    """

    column: str
    into: str
    model: str
    dimensions: int = 0
    texts: int = 0
    failed: int = 0
    rows_without: int = 0
    rows_failed: int = 0
    calls: int = 0
    job: str = ""
    path: str = ""
    samples: tuple[tuple[str, str], ...] = ()
