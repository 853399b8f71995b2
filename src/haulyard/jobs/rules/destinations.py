"""Templates of destinations: which of them can only make keys that nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.jobs.rules.values import MAX_KEY, has_control

if TYPE_CHECKING:
    from haulyard.jobs.rules.template import Template

#: Stands for whatever a field brings: no text of a file of rules can hold it.
_FIELD: Final = "\0"


def flaws_of_destination(template: Template) -> list[str]:
    """Say what is wrong with a template as that of a key."""
    said = []
    outline = template.outline(_FIELD)
    fixed = template.outline("")
    if template.source.startswith("/"):
        said.append("it begins with a slash; it is appended to the job's destination as it stands")
    if template.source.endswith("/"):
        said.append("it ends in a slash: {name} or {key} is missing after it")
    if not template.source:
        said.append("it is empty; {key} keeps the key")
    if "//" in outline:
        said.append("it has two slashes with nothing between them")
    said += [f"it has the segment {segment!r}" for segment in (".", "..") if segment in outline.split("/")]
    if has_control(fixed):
        said.append("it has a control character")
    try:
        length = len(fixed.encode())
    except UnicodeEncodeError:
        said.append("it is not valid Unicode")
    else:
        if length > MAX_KEY:
            said.append(f"its fixed text alone has {length:,} bytes, and a key at most {MAX_KEY:,}")
    return said


def flaws_of_folder(folder: str) -> list[str]:
    """Say what is wrong with the name of a folder, given without its last slash."""
    said = []
    if not folder:
        return ["it is empty"]
    if folder.startswith("/"):
        said.append("it begins with a slash")
    if "//" in folder or folder.endswith("/"):
        said.append("it has two slashes with nothing between them")
    said += [f"it has the segment {segment!r}" for segment in (".", "..") if segment in folder.split("/")]
    if has_control(folder):
        said.append("it has a control character")
    if len(folder.encode(errors="replace")) >= MAX_KEY:
        said.append(f"it is longer than a key can be ({MAX_KEY:,} bytes)")
    return said
