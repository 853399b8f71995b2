from __future__ import annotations

import pytest

from haulyard.jobs.model import Verb
from haulyard.jobs.rules import Rules, RulesError


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        (Verb.COPY, "to = 'x/{key}'\nacl = 'private'\ntags.a = 'b'"),
        (Verb.MOVE, "skip = true\n[fallback]\nto = 'x/{key}'\n[folders]\ncreate = ['a']"),
        (Verb.DELETE, "older = '30d'"),
        (Verb.RESTORE, "storage_class_is = ['GLACIER']\n[fallback]\naction = 'skip'"),
        (Verb.RETAG, "remove_tags = ['a']"),
        (Verb.RETAG, "replace_tags = true"),
        (Verb.RETAG, "skip = true"),
    ],
)
def test_rules_that_fit_a_verb(verb: Verb, text: str) -> None:
    Rules.parse(f"[[rule]]\nglob = '*'\n{text}").check(verb)


@pytest.mark.parametrize(
    ("verb", "text", "lines"),
    [
        (Verb.COPY, "", ["r:1: rule 1: copy needs a destination: "]),
        (Verb.MOVE, "acl = 'private'", ["r:1: rule 1: move needs a destination: "]),
        (
            Verb.DELETE,
            "to = 'x/{key}'\ntags.a = 'b'",
            ["r:3: rule 1: to: delete", "r:4: rule 1: tags: delete"],
        ),
        (
            Verb.RESTORE,
            "acl = 'private'\n[fallback]\nto = 'x'",
            ["r:3: rule 1: acl: ", "r:4: [fallback]: to: "],
        ),
        (Verb.DELETE, "[folders]\ncreate = ['a']", ["r:3: [folders]: create: delete makes no folders"]),
        (
            Verb.RETAG,
            "to = 'x'\nsse = 'AES256'\ncontent_type = 'a'\ntags.a = 'b'",
            ["r:3: rule 1: to: ", "r:4: rule 1: sse: ", "r:5: rule 1: content_type: retag changes only tags"],
        ),
        (
            Verb.RETAG,
            "storage_class = 'SNOW'\nmetadata.a = 'x'",
            ["r:1: rule 1: retag needs tags", "r:3: ", "r:4: "],
        ),
    ],
)
def test_what_does_not_fit_a_verb_is_told_with_its_line(verb: Verb, text: str, lines: list[str]) -> None:
    rules = Rules.parse(f"[[rule]]\nglob = '*'\n{text}", "r")
    with pytest.raises(RulesError) as caught:
        rules.check(verb)
    said = caught.value.lines()
    assert len(said) == len(lines)
    assert all(line.startswith(expected) for line, expected in zip(said, lines, strict=True)), said
