"""What was proved of an endpoint, kept for thirty days: one JSON file for each, in the state directory."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Raised when a capability is proved in another way, so that older answers are not believed.
VERSION: Final = 1
#: Stores are upgraded: what one could not do last year it may do now.
MAX_AGE: Final = timedelta(days=30)


class EndpointRecord:
    """The record of ``endpoint`` (its URL) below ``state_dir``; nothing is read or written yet."""

    def __init__(self, state_dir: str, endpoint: str) -> None:
        self._endpoint = endpoint
        name = blake2b(endpoint.encode(), digest_size=16).hexdigest()
        self.path = os.path.join(state_dir, "endpoints", f"{name}.json")

    def read(self, now: datetime) -> dict[str, bool] | None:
        """Return what is known, by the names of `Capabilities`; None where nothing is, or it is too old."""
        import json

        try:
            with open(self.path, "rb") as file:
                content = json.load(file)
            return self._believed(content, now)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # Unreadable, cut or edited: it is proved again and written anew.
            return None

    def write(self, proved: Mapping[str, bool], now: datetime) -> None:
        """Replace what is known, so that readers see the old record or the new one.

        Raises:
            OSError: It cannot be written.
        """
        import json

        folder = os.path.dirname(self.path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        content = {
            "version": VERSION,
            "endpoint": self._endpoint,
            "proved": now.astimezone(UTC).isoformat(timespec="seconds"),
            "capabilities": dict(proved),
        }
        draft = f"{self.path}.{os.getpid()}"
        try:
            with open(draft, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
            os.replace(draft, self.path)
        except OSError:
            if os.path.exists(draft):
                os.unlink(draft)
            raise

    def _believed(self, content: dict[str, Any], now: datetime) -> dict[str, bool] | None:
        if content["version"] != VERSION or content["endpoint"] != self._endpoint:
            return None
        age = now - datetime.fromisoformat(content["proved"])
        # A date in the future is that of a clock which was wrong then, or is now.
        if not timedelta() <= age < MAX_AGE:
            return None
        proved: dict[str, bool] = content["capabilities"]
        return {name: value for name, value in proved.items() if isinstance(value, bool)}
