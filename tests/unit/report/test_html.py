"""The page's content, without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.report.document import Outcome
from parity.report.html import digests, headline, ordered_classes, reasons, render_html, tree, write_html
from tests import report_samples as samples

STYLE = Path(__file__).parents[3] / "parity" / "report" / "templates" / "_style.css"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects text, tags and attributes, and holds that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    raw = render_html(samples.hostile(tmp_path), tmp_path)
    page = Page(raw)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(tag == "img" for tag, _ in page.tags)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not any(name.startswith("on") for name in names)
    assert "style" not in names
    assert "\u202e" not in raw
    assert "\x07" not in raw
    assert "\x00" not in raw
    assert "invoice<U+202E>gpj.exe" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "<script>document.title='owned'</script>" in page.text


def test_nothing_is_loaded(tmp_path: Path) -> None:
    page = Page(render_html(samples.demo(tmp_path), tmp_path))
    beside = {"report.json", "criteria.csv", "images.csv", "differences.csv"}
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/jpeg;base64,")) or value in beside, (
                tag,
                value,
            )
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_no_secret_on_the_page(tmp_path: Path) -> None:
    raw = render_html(samples.demo(tmp_path), tmp_path)
    assert "hunter2" not in raw
    assert "[redacted]" in raw


def test_worst_first(tmp_path: Path) -> None:
    report = samples.demo(tmp_path)
    text = Page(render_html(report, tmp_path)).text
    assert text.index("rtdetr-small's AP") < text.index("yolo26n's AP")
    judged = [
        samples.criterion("good", Outcome.PASS),
        samples.criterion("open", Outcome.INCONCLUSIVE),
        samples.criterion("bad", Outcome.FAIL),
    ]
    text = Page(
        render_html(samples.report([samples.pair(outcome=Outcome.FAIL, criteria=judged, images=0)]), tmp_path)
    ).text
    assert text.index("bad was judged") < text.index("open was judged") < text.index("good was judged")


def test_banners(tmp_path: Path) -> None:
    plain = Page(render_html(samples.report(), tmp_path)).text
    assert not any(word in plain for word in ("REHEARSAL", "PARTIAL", "STOPPED"))
    rehearsal = Page(render_html(samples.report(rehearsal=True), tmp_path)).text
    assert "REHEARSAL" in rehearsal
    assert "not a TensorRT engine" in rehearsal
    assert "PARTIAL" in Page(render_html(samples.report(partial=True), tmp_path)).text
    stopped = Page(render_html(samples.stopped(), tmp_path)).text
    assert "no Triton answers there" in stopped
    assert "nothing can be concluded" in stopped


def test_undefined_is_a_dash_with_its_reason(tmp_path: Path) -> None:
    entry = samples.pair(outcome=Outcome.INCONCLUSIVE, images=0)
    assert reasons(entry, "APs") == "no ground truth box is smaller than 32\u00b2 px"
    assert reasons(entry, "AP") == ""
    page = Page(render_html(samples.report([entry]), tmp_path))
    assert "no ground truth box is smaller" in page.text
    assert "None" not in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)


def test_pictures_from_outside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8\xffsecret")
    worst = [samples.worst_images(None, count=1)[0].model_copy(update={"picture": "../secret.jpg"})]
    raw = render_html(samples.report([samples.pair(worst_images=worst)]), tmp_path / "run")
    assert "data:image" not in raw
    assert "was refused" in raw


def test_a_report_against_itself_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        write_html(samples.report(error="stopped"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_headlines() -> None:
    fail, open_, good = (
        samples.pair(outcome.value, outcome) for outcome in (Outcome.FAIL, *list(Outcome)[2:], Outcome.PASS)
    )
    assert headline(samples.report([fail, open_, good])) == "1 of 3 models failed: FAIL."
    assert headline(samples.report([open_, good])) == "1 of 2 models could not be decided: INCONCLUSIVE."
    assert headline(samples.report([good, good])).startswith("Both models are within their limits")
    assert headline(samples.report([good])).startswith("PASS's AP changed")
    assert headline(samples.report([])) == "Nothing was compared, so nothing can be concluded."


def test_headings_are_in_order_and_ids_unique(tmp_path: Path) -> None:
    page = Page(render_html(samples.demo(tmp_path), tmp_path))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_classes_by_change_and_digests() -> None:
    ordered = ordered_classes(samples.accuracy().classes)
    values = [entry.difference.value for entry in ordered]
    known = [abs(value) for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[-1] is None
    assert dict(digests(samples.provenance()))["reference weights"] == "3f" * 32


def test_deep_provenance_ends() -> None:
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    node, depth = tree(deep), 0
    while node.children:
        node, depth = node.children[0], depth + 1
    assert depth == 8
    assert node.value is not None


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_aa_in_both_schemes() -> None:
    css = STYLE.read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    for block in blocks[:2]:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for ink in ("ink", "soft", "link", "pass", "fail", "open"):
            for paper in ("paper", "raised", "code"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        for tone in ("pass", "fail", "open"):
            assert contrast(colours[tone], colours[f"{tone}-tint"]) >= 4.5, tone
            assert contrast(colours["ink"], colours[f"{tone}-tint"]) >= 4.5, tone
