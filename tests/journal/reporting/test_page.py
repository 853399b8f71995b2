import re
import sys
from html.parser import HTMLParser

import pytest

from haulyard.journal.reporting.content import Breakdown, Content, Failure, Figure, Share, Step
from haulyard.journal.reporting.page import render
from haulyard.journal.reporting.series import Run

_START = 1_760_000_000.0
_EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class _Page(HTMLParser):
    """Collects elements, the texts within them, and everything that could be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.fetched: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "formaction"}:
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _content() -> Content:
    content = Content("move-photos", "Move report")
    content.facts = [("Source", f"s3://photos/{_EVIL}")]
    content.figures = [Figure("Objects", "2,000"), Figure("Failed", "3", "", "bad")]
    content.notices = [f"damaged: {_EVIL}"]
    for second in range(100):
        content.throughput.add(_START + second, 20, 4096)
        content.throughput.add(_START + 86400 + second, 20, 4096)
        content.durations.add(0.001 * (second + 1))
    content.runs.add(Run(_START, _START + 100, "apply", _EVIL, 1))
    content.runs.add(Run(_START + 86400, _START + 86500, "apply", "host", 2))
    content.breakdowns = [
        Breakdown("Rules", "rule", "objects", (Share(f"$a$ {_EVIL}", 20, 100), Share("字", 1, 0))),
        Breakdown("Errors by kind", "error", "times", (), empty="No error was recorded."),
    ]
    content.failures = [Failure(f"in/{_EVIL}\u202egpj", "AccessDenied", f"{_EVIL}: denied", _START)]
    content.failed = 3
    content.steps = [Step("try again what failed:", "haul apply move-photos")]
    return content


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    text = render(_content())
    page = _Page(text)
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(page.elements)
    assert page.fetched, "the charts refer to their own definitions"
    assert all(each.startswith("#") for each in page.fetched)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text


def test_foreign_names_are_shown_and_never_markup() -> None:
    page = _Page(render(_content()))
    shown = "".join(page.texts)
    assert shown.count(_EVIL) >= 5
    assert "\u202e" not in shown
    assert "\\u202egpj" in shown


def test_behind_each_chart_is_a_table_and_charts_are_hidden_from_readers_of_the_screen() -> None:
    text = render(_content())
    page = _Page(text)
    # Objects, bytes, latencies, rules: bytes share the table of objects.
    assert page.elements.count("svg") == text.count('<svg aria-hidden="true"') == 4
    assert page.elements.count("details") == 3
    assert "scope" in page.attributes


def test_colours_are_those_of_the_style_sheet_in_light_and_dark() -> None:
    text = render(_content())
    assert "prefers-color-scheme: dark" in text
    charts = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert "var(--first)" in charts
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", charts)


def test_pauses_are_named_and_runs_are_listed() -> None:
    text = render(_content())
    assert "paused 23 h 58 min" in text
    assert "<h2>Runs</h2>" in text


def test_a_job_without_a_journal_has_a_page_without_charts() -> None:
    page = _Page(render(Content("plan", "Move report")))
    assert "svg" not in page.elements
    assert "main" in page.elements


def test_without_the_library_the_page_has_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = render(_content())
    page = _Page(text)
    assert "svg" not in page.elements
    assert page.elements.count("table") >= 4
    assert "pip install" in text


@pytest.mark.parametrize("seconds", [0.05, 3, 400, 90_000, 40 * 86400])
def test_runs_of_any_length_are_drawn_with_a_time_axis(seconds: float) -> None:
    content = Content("job", "Copy report")
    for step in range(200):
        content.throughput.add(_START + seconds * step / 200, 1, step)
    content.runs.add(Run(_START, _START + seconds, "apply", "host", 1))
    assert _Page(render(content)).elements.count("svg") == 2


def test_times_of_short_bins_are_told_apart() -> None:
    content = Content("job", "Copy report")
    for eighth in range(3):
        content.throughput.add(_START + eighth / 8, 1, 0)
    content.runs.add(Run(_START, _START + 0.5, "apply", "host", 1))
    text = render(content)
    for told in ("08:53:20.000<", "08:53:20.125<", "08:53:20.250<"):
        assert told in text
    content.throughput.fit(100)
    assert "08:53:20<" in render(content)


def test_half_seconds_on_the_time_axis_are_told_apart() -> None:
    content = Content("job", "Copy report")
    content.throughput.add(_START, 1, 0)
    content.runs.add(Run(_START, _START + 1, "apply", "host", 1))
    text = render(content)
    assert "08:53:20.0" in text
    assert "08:53:20.5" in text


def test_more_failures_than_are_listed_are_said_to_be_elsewhere() -> None:
    assert "1 of 3; all are in completion.csv." in render(_content())


def test_a_single_duration_is_drawn() -> None:
    content = Content("job", "Copy report")
    content.durations.add(0.25)
    assert "p99 250 ms" in render(content)


def test_many_runs_have_their_place_and_the_last_ones_are_listed() -> None:
    content = Content("job", "Copy report")
    for at in range(60):
        start = _START + at * 10_000
        content.throughput.add(start, 5, 5)
        content.runs.add(Run(start, start + 3, "apply", "host", at))
    text = render(content)
    assert "The last 50 of 60." in text
    # No room for words between so many.
    assert "paused" not in text
