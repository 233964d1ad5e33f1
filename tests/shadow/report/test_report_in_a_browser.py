"""The report as a reader has it: in chromium, with answers that would take the page over if they could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shadow.report.html import render_html
from tests.fakes.browser import Browser, browsing
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import answer, text
from tests.programs import need

HOSTILE = (
    "</script></style></td></table><script>taken=1</script><img src=http://127.0.0.1:9/x onerror=taken=1>"
    "\"' onclick='taken=1"
)
WIDTHS = [360, 1280]
CONTRAST = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const telling = [...document.querySelectorAll("main *, header *, footer *")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return Math.min(...telling.map((each) => {
    const [one, other] = [numbers(getComputedStyle(each).color), behind(each)].map(light);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  }));
})()
"""
"""The least contrast of a text with what is behind it (WCAG 2.2, relative luminance)."""
AT = "document.querySelector('tr.at')"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with browsing(need("chromium", "chromium"), tmp_path / "browser") as opened:
        yield opened


def hostile_page(folder: Folder) -> Path:
    """Everything that a service or a client may say, said badly."""
    legacy = answer({HOSTILE: HOSTILE, "list": [HOSTILE, "\u202e\x00\x1b", "x" * 3000], "half": "\ud800"})
    candidate = answer({HOSTILE: "other", "list": []}, headers=(("Content-Type", "application/json"), ("X-A", HOSTILE)))
    folder.add(legacy, candidate, target=f"/?q={HOSTILE}", request_headers=(("X-B", HOSTILE),), method=HOSTILE)
    folder.add(text(HOSTILE, "text/html"), text("<b>other</b>", "text/html"), route=f"route {HOSTILE}")
    folder.add(answer({"a": list(range(20)), "b": 1}), answer({"a": list(range(20)), "b": 2}), 3)
    return written(folder)


def written(folder: Folder) -> Path:
    page = folder.path / "report.html"
    page.write_text(render_html(folder.report()), encoding="utf-8", errors="backslashreplace")
    return page


async def test_nothing_runs_nothing_is_asked_for_and_nothing_is_complained_about(
    folder: Folder, browser: Browser
) -> None:
    page = hostile_page(folder)
    await browser.open(page)
    await browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await browser.value("typeof taken") == "undefined"
    assert await browser.value("document.images.length + document.scripts.length") == 1, "our own script"
    assert browser.complaints == []
    assert browser.requests == [page.as_uri()]
    shown = await browser.value("document.querySelector('main').textContent")
    assert "<script>taken=1</script>" in shown
    assert "\\u{202e}" in shown
    assert "\u202e" not in shown


async def test_keys_and_buttons_walk_through_the_differences_and_open_what_hides_them(
    folder: Folder, browser: Browser
) -> None:
    folder.add(answer({"a": 1, "b": 1, "c": [1, 2, 3]}), answer({"a": 2, "b": 2, "c": [1, 2, 3]}), target="/first")
    folder.add(answer({"z": 1}), answer({"z": 2}), target="/second")
    await browser.open(written(folder))
    seen = []
    for key in ("n", "j", "n", "n", "p", "k", "N", "P"):
        await browser.press(key)
        seen.append(await browser.value(f"{AT}.innerText.trim().split(':')[0]"))
        box = await browser.value(f"JSON.stringify({AT}.getBoundingClientRect())")
        assert '"height":0' not in box, "what hides it is open"
    first, second, third = seen[:3]
    assert len({first, second, third}) == 3
    assert seen[3:6] == [first, third, second], "around the end, and back"
    assert await browser.value("document.getElementById('at').textContent") == "1 of 3" if seen[-1] == first else True
    await browser.value("document.getElementById('next').click()")
    assert await browser.value("document.getElementById('at').textContent") in ("1 of 3", "2 of 3", "3 of 3")
    assert browser.complaints == []


async def test_a_difference_beside_the_bodies_is_gone_to_where_it_is_said(folder: Folder, browser: Browser) -> None:
    folder.add(answer({"x": 1}), answer({"x": 1}, 404))
    await browser.open(written(folder))
    await browser.press("n")
    assert await browser.value("document.querySelector('.at strong').textContent") == "the status differs"
    assert await browser.value("document.getElementById('at').textContent") == "1 of 1"


async def test_keys_go_from_route_to_route_fold_a_pair_and_tell_of_themselves(folder: Folder, browser: Browser) -> None:
    for route in ("a", "b", "c"):
        folder.add(answer({"x": list(range(90))}), answer({"x": 2}), route=route)
    await browser.open(written(folder))
    there = "document.activeElement.textContent"
    seen = []
    for key in ("r", "r", "R"):
        await browser.press(key)
        seen.append(await browser.value(there))
    assert seen == ["a", "b", "a"]
    await browser.press("n")
    folded = [await browser.value("document.querySelector('.pair').open")]
    await browser.press("o")
    folded.append(await browser.value("document.querySelector('.pair').open"))
    assert folded == [True, False]
    await browser.press("?")
    assert await browser.value("document.querySelector('.keys').open")
    assert await browser.value(
        "[...document.querySelectorAll('.keys kbd')].map(each => each.textContent).join('')"
    ) == ("njpkNPrRo?")
    assert browser.complaints == []


async def test_a_link_to_a_pair_opens_it(folder: Folder, browser: Browser) -> None:
    for number in range(3):
        folder.add(answer({f"f{number}": 1}), answer({f"f{number}": 2}), target=f"/{number}")
    await browser.open(written(folder))
    await browser.value("document.querySelector('.place a[href=\"#pair-1-3\"]').click()")
    await asyncio.sleep(0)
    assert await browser.value(
        "new Promise(done => setTimeout(() => done(document.getElementById('pair-1-3').open), 50))"
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
async def test_no_page_is_wider_than_the_screen_and_all_text_can_be_told_from_what_is_behind_it(
    folder: Folder, browser: Browser, width: int, dark: bool
) -> None:
    await browser.see(width=width, dark=dark)
    await browser.open(hostile_page(folder))
    await browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await browser.value("document.documentElement.scrollWidth") <= width
    back, ink = [
        await browser.value(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color")
    ]
    darker = sum(map(int, back[4:-1].split(","))) < sum(map(int, ink[4:-1].split(",")))
    assert darker is dark
    assert await browser.value(CONTRAST) >= 4.5, "WCAG 2.2, 1.4.3"


async def test_without_script_everything_is_still_there(folder: Folder, browser: Browser) -> None:
    folder.add(answer({"price": 1.5}), answer({"price": 1.51}), 2)
    await browser.see(script=False)
    await browser.open(written(folder))
    shown = await browser.value("document.querySelector('main').textContent")
    assert "NO-GO" in shown
    assert '"price": 1.51' in shown
    assert await browser.value("getComputedStyle(document.querySelector('.walk')).display") == "none"
