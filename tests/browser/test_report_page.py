"""index.html in a real Chromium, opened from disk with no network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parity.report.document import Outcome, Report
from parity.report.html import write_html
from tests import report_samples as samples
from tests.serving_report_samples import load_report

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
Make = Callable[[Path], Report]
STATES: dict[str, Make] = {
    "fail": samples.demo,
    "hostile": samples.hostile,
    "many-classes": samples.many_classes,
    "long-names": lambda _: samples.report(
        [samples.pair(f"{letter * 60}", outcome=Outcome.FAIL, images=0) for letter in "ab"]
    ),
    "stopped": lambda _: samples.stopped(),
    "pass-rehearsal": lambda folder: samples.report([samples.pair(folder=folder, images=2)], rehearsal=True),
    "inconclusive-no-images": lambda _: samples.report(
        [samples.pair(outcome=Outcome.INCONCLUSIVE, images=0)]
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        # Root in a container has no user namespaces for the sandbox; the pages are our own.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """A page that was opened offline, with what it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Visit:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("state", STATES)
def test_opens_offline_fits_and_is_quiet(
    browser: Any, tmp_path: Path, state: str, width: int, scheme: str
) -> None:
    path = write_html(STATES[state](tmp_path), tmp_path)
    size = {"width": width, "height": 900}
    with Visit(browser, path, viewport=size, color_scheme=scheme) as visit:
        outside = [url for url in visit.requests if not url.startswith("data:") and url != path.as_uri()]
        assert outside == []
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        picture = tmp_path / f"{state}-{width}-{scheme}.png"
        visit.page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 10_000


@pytest.mark.parametrize("width", [390, 1280])
def test_a_load_run_is_read_without_scrolling_sideways(browser: Any, tmp_path: Path, width: int) -> None:
    path = write_html(load_report(), tmp_path)
    with Visit(browser, path, viewport={"width": width, "height": 900}) as visit:
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        too_wide = (
            "tables => tables.filter(each => each.scrollWidth > each.clientWidth).map(each => each.className)"
        )
        assert visit.page.locator(".scroll").evaluate_all(too_wide) == []
        assert visit.page.locator(".steps tbody tr").count() == 13
        plots = visit.page.locator(".plot img").evaluate_all(
            "all => all.map(each => [each.getBoundingClientRect().width, each.naturalWidth, each.offsetTop])"
        )
        assert len(plots) == 2 and (plots[0][2] == plots[1][2]) == (width == 1280)
        smallest = 8.33 * 96 / 72  # px, of matplotlib's "small" letters before the picture is scaled
        assert all(smallest * shown / drawn >= 9 for shown, drawn, _ in plots)
        assert visit.page.locator(".notes code").first.inner_text() == "parity drill"


def test_hostile_names_stay_text(browser: Any, tmp_path: Path) -> None:
    with Visit(browser, write_html(samples.hostile(tmp_path), tmp_path)) as visit:
        assert visit.page.title().startswith("FAIL")
        assert visit.page.evaluate("document.scripts.length") == 1
        assert visit.page.locator("img").count() == 0
        for text in samples.HOSTILE[:3]:
            assert visit.page.get_by_text(text, exact=True).count() > 0


def test_injected_script_cannot_run(browser: Any, tmp_path: Path) -> None:
    """Should escaping ever fail, the page's own policy still stops what was let through."""
    path = write_html(samples.report(), tmp_path)
    owned = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    path.write_text(path.read_text("utf-8").replace("</main>", f"{owned}</main>"), "utf-8")
    with Visit(browser, path) as visit:
        visit.page.wait_for_timeout(100)
        assert visit.page.title() != "owned"


def test_boxes_can_be_hidden(browser: Any, tmp_path: Path) -> None:
    with Visit(browser, write_html(samples.demo(tmp_path), tmp_path)) as visit:
        gallery = visit.page.locator(".gallery").first
        shown = gallery.locator(".scene .candidate:visible").count()
        assert shown > 0
        button = gallery.get_by_role("button", name="Candidate")
        button.focus()
        visit.page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "false"
        assert gallery.locator(".scene .candidate:visible").count() == 0
        button.click()
        assert gallery.locator(".scene .candidate:visible").count() == shown


def test_copy_button_copies_the_whole_digest(browser: Any, tmp_path: Path) -> None:
    path = write_html(samples.demo(tmp_path), tmp_path)
    with Visit(browser, path, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.page.get_by_role("button", name="Copy SHA-256 of reference weights").first.click()
        visit.page.locator("#said", has_text="Copied").wait_for(state="attached")
        assert visit.page.evaluate("navigator.clipboard.readText()") == "3f" * 32


def test_readable_without_script(browser: Any, tmp_path: Path) -> None:
    path = write_html(samples.demo(tmp_path), tmp_path)
    with Visit(browser, path, java_script_enabled=False) as visit:
        assert visit.page.get_by_role("heading", level=1).is_visible()
        assert visit.page.locator("button:visible").count() == 0
        assert visit.page.locator(".gallery .scene").first.is_visible()


def test_keyboard_reaches_the_verdict_first(browser: Any, tmp_path: Path) -> None:
    with Visit(browser, write_html(samples.demo(tmp_path), tmp_path)) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the verdict"


def test_prints(browser: Any, tmp_path: Path) -> None:
    with Visit(browser, write_html(samples.demo(tmp_path), tmp_path), color_scheme="dark") as visit:
        visit.page.emulate_media(media="print", color_scheme="dark")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert len(visit.page.pdf(format="A4")) > 20_000


def test_eighty_classes_and_large_runs_open_fast(browser: Any, tmp_path: Path) -> None:
    failed = samples.failures(100)
    worst = [
        image.model_copy(update={"boxes": image.boxes * 40})
        for image in samples.worst_images(tmp_path, count=4)
    ]
    entry = samples.pair(outcome=Outcome.FAIL, failures=failed, worst_images=worst)
    with Visit(browser, write_html(samples.report([entry]), tmp_path)) as visit:
        painted = visit.page.evaluate(
            "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
        )
        # Generous, because the machine may be busy; the page itself needs a tenth of it.
        assert painted < 5000
