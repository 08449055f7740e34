"""Every page of the built sites in a real browser. Not collected by default: `pytest
tests/browser.py` (minutes).

Skipped without Chromium or a built site."""

import json
import re
import shutil
from collections import deque
from collections.abc import Callable
from html import unescape
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pytest
from conftest import CHECKOUT
from scipy.linalg import expm

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: install the extra [site]"
)
pytest.importorskip("sphinx", reason="no Sphinx: install the extra [site]")
from poc_book.balanced import balance  # noqa: E402
from poc_book.site import server  # noqa: E402

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SITES = sorted(CHECKOUT.glob("build/*/site"))
LIMIT = 2_000_000  # bytes of a page with all it loads, uncompressed, nothing cached
PATIENCE = 120_000  # ms, for a page on a machine that does much else
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
PAPER = {"width": 673, "height": 986}  # px of what A4 has between its margins

WEIGHT = "performance.getEntries().reduce((sum, e) => sum + (e.decodedBodySize || 0), 0)"

# Every fold is open, and what a browser fetches only then is there.
UNFOLD = """() => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const late = [...document.querySelectorAll("img[loading=lazy]")];
  late.forEach(i => i.loading = "eager");
  return Promise.allSettled(late.map(i => i.decode())).then(() => late.length);
}"""

# What a page looks like to its reader, asked of the page itself once it is unfolded.
INSPECT = """() => {
  const article = document.querySelector("article") || document.body;
  const dollars = document.createTreeWalker(article, NodeFilter.SHOW_TEXT), raw = [];
  for (let n; n = dollars.nextNode();)
    if (n.data.includes("$") && !n.parentElement.closest("code, pre, script, style, .sig, mjx-container"))
      raw.push(n.data.trim());
  return {
    ids: [...document.querySelectorAll("[id]")].map(e => e.id),
    links: [...document.querySelectorAll("a[href]")].map(e => e.href).filter(h => h.startsWith(location.origin)),
    wordless: [...document.images].filter(i => !(i.alt || "").trim()).map(i => i.src),
    broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.src),
    pictures: document.querySelectorAll("figure.picture img").length,
    untypeset: [...raw, ...[...document.querySelectorAll("mjx-merror, .math:not(:has(mjx-container))")].map(e => e.textContent)],
    formulas: document.querySelectorAll("mjx-container").length,
    text: article.innerText,
  };
}"""

# What is wider than the window, but for what scrolls in its own box, as wide tables and formulas do; code never scrolls.
OVERFLOW = """() => {
  const article = document.querySelector("article") || document.body, wide = innerWidth + 1;
  const scrolls = e => e && e !== document.body && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
  return [...(document.documentElement.scrollWidth >= wide ? ["the page"] : []),
    ...[...article.querySelectorAll("pre")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80)),
    ...[...article.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > wide && !scrolls(e.parentElement))
      .map(e => e.outerHTML.slice(0, 80))];
}"""

# Text whose contrast with what lies behind it is below 4.5, as WCAG 2 reckons it.
FAINT = """() => {
  const parts = colour => { const v = colour.match(/[\\d.]+/g).map(Number); return [v[0], v[1], v[2], v[3] ?? 1]; };
  const over = (top, under) => under.map((u, i) => i < 3 ? top[i] * top[3] + u * (1 - top[3]) : 1);
  const behind = e => {
    if (!e) return [255, 255, 255, 1];
    const own = parts(getComputedStyle(e).backgroundColor);
    return own[3] >= 1 ? own : over(own, behind(e.parentElement));
  };
  const linear = x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0] / 255) + 0.7152 * linear(c[1] / 255) + 0.0722 * linear(c[2] / 255);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = new Set(), known = new Map();
  for (let n; n = texts.nextNode();) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest("script, style, svg, noscript, mjx-container")) continue;
    if (!e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const own = getComputedStyle(e).color, box = e.parentElement, key = `${own} ${e.className} ${box.tagName} ${box.className}`;
    if (!known.has(key)) {
      const under = behind(e), [a, b] = [light(over(parts(own), under)), light(under)];
      known.set(key, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
    }
    if (known.get(key) < 4.5) found.add(`${key}: ${n.data.trim().slice(0, 40)}, ${known.get(key).toFixed(2)}`);
  }
  return [...found];
}"""


def everywhere(page) -> dict[str, list]:
    "What does not fit a phone, a desk and paper, and what is faint in light and dark."
    overflow, faint = [], []
    for size, media in ((PHONE, "screen"), (DESK, "screen"), (PAPER, "print")):
        page.set_viewport_size(size)
        page.emulate_media(media=media)
        overflow += [f"{size['width']}: {one}" for one in page.evaluate(OVERFLOW)]
    for scheme in ("light", "dark"):
        page.emulate_media(media="screen", color_scheme=scheme)
        faint += [f"{scheme}: {one}" for one in page.evaluate(FAINT)]
    return {"overflow": overflow, "faint": faint}


def opened(browser, url: str, **options) -> Callable[[], dict]:
    """Have a reader with an empty cache open `url`; what they get there, once it is asked for, with
    what the console said and what was asked of whom."""
    context = browser.new_context(viewport=PHONE, **options)
    page, console, asked = context.new_page(), [], []
    page.on("console", lambda m: console.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: console.append(str(e)))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(url, timeout=PATIENCE, wait_until="commit")

    def look() -> dict:
        page.wait_for_load_state("load", timeout=PATIENCE)
        page.wait_for_function(
            "!window.MathJax || window.MathJax.startup?.promise", timeout=PATIENCE
        )
        page.evaluate(
            "window.MathJax ? MathJax.startup.promise.then(() => document.fonts.ready).then(() => "
            "1) : 1"
        )
        page.wait_for_load_state("networkidle")
        origin = "/".join(url.split("/")[:3])
        foreign = [u for u in asked if not u.startswith((origin, "data:", "blob:"))]
        weight = page.evaluate(WEIGHT)  # of what is there before a reader opens a fold
        page.evaluate(UNFOLD)
        seen = page.evaluate(INSPECT) | dict(console=console, foreign=foreign, weight=weight)
        found = seen | everywhere(page)
        context.close()
        return found

    return look


def look(browser, url: str, **options) -> dict:
    "What a reader with an empty cache gets at `url`."
    return opened(browser, url, **options)()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here: pages are not tested in a browser")
    with playwright.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(
    scope="module", params=SITES or [None], ids=lambda p: p.parent.name if p else "none"
)
def site(request):
    "The folder and the address of a built site."
    if request.param is None:
        pytest.skip("no site here: make site")
    with server(request.param, 0) as one:
        Thread(target=one.serve_forever, daemon=True).start()
        yield request.param, f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


@pytest.fixture(scope="module")
def seen(browser, site):
    "Every page of a site, by path."
    folder, url = site
    paths = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.html"))]
    ahead = deque(paths)
    waiting, found = deque(), {}
    for path in paths:
        while ahead and len(waiting) < 2:  # one is typeset while another is looked at
            waiting.append(opened(browser, f"{url}/{ahead.popleft()}"))
        found[path] = waiting.popleft()()
    return found


def complaints(seen: dict, field: str) -> dict:
    return {path: page[field] for path, page in seen.items() if page[field]}


@pytest.mark.parametrize(
    "field", ["console", "foreign", "wordless", "broken", "untypeset", "overflow", "faint"]
)
def test_every_page_loads_alone_is_typeset_has_words_for_pictures_fits_and_is_legible(seen, field):
    assert complaints(seen, field) == {}


def test_every_page_is_light(seen):
    heaviest = max(seen, key=lambda path: seen[path]["weight"])
    print(f"heaviest page: {heaviest}, {seen[heaviest]['weight']} bytes")
    assert 100_000 < seen[heaviest]["weight"] < LIMIT


def test_mathematics_and_pictures_are_there(seen, site):
    folder, _ = site
    assert all(
        seen[f"{name}.html"]["formulas"] > 5
        for name in ("index", "glossary", "02_model", "09_single_index", "api/model")
    )
    for chapter in filter(Path.is_dir, (folder / "files").iterdir()):
        borrowed = chapter.name == "index"  # the moving picture of Chapter 6
        assert (
            seen[f"{chapter.name}.html"]["pictures"] == len(list(chapter.rglob("*.nc"))) + borrowed
        ), chapter.name
        if list(chapter.glob("*.nc")):
            assert "redraw: make figures ONLY=" in seen[f"{chapter.name}.html"]["text"]


def test_the_first_page_shows_the_measured_table(seen):
    "Every problem of Table 1, with letters of both sides."
    text = seen["index.html"]["text"]
    for name in ("Circle", "Misspecified", "Staircase"):
        assert re.search(rf"{name}\s+[YN?] / [YN]", text), name


def test_links_and_anchors_resolve(seen, site):
    folder, _ = site
    links = {
        (path, urlsplit(unquote(link))) for path, page in seen.items() for link in page["links"]
    }
    dead = []
    for path, link in links:
        target = link.path.lstrip("/") or "index.html"
        anchors = ["", *seen[target]["ids"]] if target in seen else [""]
        if not (folder / target).is_file() or link.fragment not in anchors:
            dead.append((path, link.geturl()))
    assert len(links) > 1000
    assert dead == []


def test_no_directive_shows_and_no_exported_code_is_gone(seen):
    page = seen["09_single_index.html"]["text"]
    assert "def descend(" in page and "def single_index(" in page
    assert [
        path
        for path, p in seen.items()
        if "#| " in p["text"] and not path.startswith(("9", "api/"))
    ] == []


def search(browser, url: str, words: str) -> list[str]:
    "The links that the search of a site finds."
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{url}/search.html?q={quote(words)}")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        page.get_by_text("Search finished").wait_for(timeout=20_000)
        return page.eval_on_selector_all(
            "#search-results li a", "links => links.map(a => a.getAttribute('href'))"
        )


def test_search_finds_the_interaction_hessian(browser, site):
    found = search(browser, site[1], "interaction Hessian")
    assert any(link.startswith("07_stability.html") for link in found), found


def test_search_knows_a_name_with_and_without_its_accent(browser, site):
    plain = search(browser, site[1], "Gronwall")
    assert (
        any(link.startswith("06_coupling.html") for link in plain)
        and search(browser, site[1], "Grönwall") == plain
    )


def test_dark_and_light(browser, site):
    colours = []
    for scheme in ("dark", "light"):
        with browser.new_context(color_scheme=scheme) as context:
            page = context.new_page()
            page.goto(f"{site[1]}/index.html")
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def moving(folder: Path) -> list[str]:
    "The pages with a figure that its reader moves."
    return sorted(p.name for p in folder.glob("*.html") if 'class="explorer"' in p.read_text())


def number(text: str) -> float:
    "What `short` of explorer.js has written."
    digits, _, power = text.rpartition("10") if re.search("[⁰-⁹¹²³⁻]", text) else (text, "", "")
    raised = power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    return float(digits.rstrip("·") or 1) * 10.0 ** int(raised or 0)


def read(place) -> tuple[dict, dict, str]:
    "The curves of a figure, the numbers in its words by label, and all its words."
    drawn = place.locator("svg [data-curve]").all()
    curves = {one.get_attribute("data-curve"): one.get_attribute("d") for one in drawn}
    words = place.locator("[aria-live]").inner_text()
    _, _, list_ = words.rpartition(": ")
    said = [part for part in list_.removesuffix(".").split("; ") if "is not shown" not in part]
    numbers = dict(part.rsplit(" = ", 1) for part in said)
    return curves, {label: number(value) for label, value in numbers.items()}, words


def stored(page: dict, chosen: dict[str, str]) -> dict[str, float]:
    "What the results in a page say for what is chosen, by label."
    match = lambda v: v if isinstance(v, str) else f"{v:g}" if v < 1e6 else str(v)
    (case,) = (
        one
        for one in page["cases"]
        if all(match(v) == chosen[name] for name, v in one["choose"].items())
    )
    i = int(chosen["at"])
    looks = page["about"]["curves"]
    by = {name: float(chosen["width"]) if look["per_width"] else 1 for name, look in looks.items()}
    known = {n: v for n, v in case["curves"].items() if any(x is not None for x in v)}
    return {looks[n]["label"]: v[i] / by[n] for n, v in known.items() if v[i] is not None}


def test_every_figure_that_moves_follows_each_control_by_keyboard(browser, site):
    "Curves and words change, the numbers are those stored in the page, the picture makes way."
    folder, url = site
    pages = moving(folder)
    assert {"04_mean_field.html", "11_fluctuations.html", "12_langevin.html"} < {*pages}
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        for name in pages:
            page.goto(f"{url}/{name}")
            for place in page.locator(".explorer:not([data-edit])").all():
                assert not place.locator("xpath=..").locator("> a img").count() or (
                    place.locator("xpath=..").locator("> a img").is_hidden()
                )
                data = json.loads(place.locator("script").text_content())
                controls = place.locator("input, select")
                for i in range(controls.count()):
                    control = controls.nth(i)
                    before = read(place)
                    last = control.evaluate("e => e.options ? e.options.length - 1 : Number(e.max)")
                    at_end = control.evaluate("e => e.options ? e.selectedIndex : Number(e.value)")
                    if last == 0:
                        continue  # nothing else is to choose
                    key = "Up" if at_end == last else "Down"
                    if control.get_attribute("type") == "range":
                        key = "Left" if at_end == last else "Right"
                    control.press(f"Arrow{key}")
                    after = read(place)
                    what = (name, control.get_attribute("name"))
                    assert after[2] != before[2], what
                    assert (after[0] == before[0]) == (what[1] == "at"), what
                    chosen = place.evaluate(
                        """e => Object.fromEntries([...e.querySelectorAll("input, select")].map(one =>
                        [one.name, one.options || one.name === "at" ? one.value
                        : one.closest("label").querySelector("output").textContent]))"""
                    )
                    assert after[1] == pytest.approx(stored(data, chosen), rel=6e-3), what


def test_an_animation_stands_still_for_who_asks_for_less_motion(browser, site):
    shown = {}
    for motion in ("reduce", "no-preference"):
        with browser.new_context(reduced_motion=motion) as context:
            page = context.new_page()
            page.goto(f"{site[1]}/06_coupling.html")
            picture = page.locator("#figure-moving_picture img")
            shown[motion] = picture.evaluate("e => e.currentSrc.split('.').at(-1)")
    assert shown == {"reduce": "png", "no-preference": "webp"}


@pytest.mark.parametrize("without", ["JavaScript", "a screen"])
def test_a_figure_that_moves_is_a_still_picture_without(without, browser, site):
    folder, url = site
    with browser.new_context(java_script_enabled=without == "a screen") as context:
        page = context.new_page()
        for name in moving(folder):
            page.goto(f"{url}/{name}")
            if without == "a screen":
                page.emulate_media(media="print")
            for place in page.locator(".explorer").all():
                pictures = place.locator("xpath=..").locator("> a img")
                assert place.is_hidden() and (pictures.count() == 0 or pictures.is_visible())
            assert page.locator("figure.picture img, .card img").first.is_visible()


def test_the_lemma_holds_for_the_matrix_that_a_reader_writes(browser, site):
    """Chapter 8: growth and bound as SciPy and `balance` have them; where the lemma says nothing,
    or an entry is none, the page says so."""
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/08_balanced.html")
        place = page.locator(".explorer[data-edit]")
        end = json.loads(place.locator("script").text_content())["cases"][0]["x"][-1]
        fields = place.locator(".matrix input")

        def write(H):
            for i, value in enumerate(np.ravel(H)):
                fields.nth(i).fill(str(value))
            return read(place)

        growth = lambda H: np.abs(expm(-end * np.array(H))).sum(0).max()
        for H in (
            [[2, -1, 0], [-1, 2, -1], [0, -1, 2]],
            [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 3]],
            np.eye(3),
        ):
            _, numbers, words = write(H)
            found = [growth(H), balance(H).upper]
            assert list(numbers.values()) == pytest.approx(found, rel=6e-3)
            assert "so the lemma holds" in words
        for H, said in (
            ([[1, 2, 0], [0, 1, 0], [0, 0, 1]], "not symmetric"),
            ([[0, 1, 0], [1, 0, 0], [0, 0, 1]], "one is negative"),
        ):
            curves, numbers, words = write(H)
            assert list(curves) == ["growth"] and said in words
            assert list(numbers.values()) == pytest.approx([growth(H)], rel=6e-3)
        for wrong, said in (("", "is empty"), ("two", "“two”"), ("1e9", "“1e9”")):
            fields.nth(5).fill(wrong)
            assert place.locator("[data-curve]").count() == 0
            assert "Row 2, column 3" in (now := place.locator("[aria-live]").inner_text())
            assert said in now and fields.nth(5).get_attribute("aria-invalid") == "true"
        fields.nth(5).fill("0")
        assert list(read(place)[0]) == ["growth"]


def test_the_reader_chooses_cards_by_verdict_and_chapter(browser, site):
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/theorem_map.html")
        cards = page.locator(".card")
        fails = page.locator(".card[data-verdict=fails]").count()
        assert cards.count() > 40 and 0 < fails < 20
        page.locator(".choose select").nth(1).select_option("fails")
        assert page.locator(".card:visible").count() == fails
        assert page.locator(".choose output").inner_text() == f"{fails} of {cards.count()}"
        page.goto(f"{site[1]}/gallery.html")
        page.locator(".choose select").select_option("06_coupling")
        shown = page.locator(".card:visible a").evaluate_all("links => links.map(a => a.href)")
        assert shown and all("/06_coupling.html#figure-" in link for link in shown)


def test_a_public_name_in_prose_leads_to_its_entry_and_a_word_nowhere(seen):
    leads = lambda page: {link.rpartition("/")[2] for link in seen[page]["links"]}
    assert "table1.html#poc_book.table1.reduced_limit" in leads("10_table1.html")
    words = leads("05_finite_width.html")  # which speaks of batches that are `drawn`
    assert not [link for link in words if "#poc_book.latent_law" in link]


PREVIEWS = [  # a page, one of its links, and words of what is shown beside it
    ("06_coupling", "[href='#eq-6.2']", "interaction"),
    ("11_latent_risk", "[href$='#eq-11.7']", "(11.7)"),
    ("10_table1", "[href$='#theorem-7']", "Assume regularity"),
    ("07_stability", "[href$='#lemma-49']", "achieved"),
    ("12_langevin", "[href*='bibliography.html#']", "Improved particle approximation error"),
    ("07_stability", "[href$='.hessian_scalars']", "hessian_scalars("),
    ("10_table1", "[href='09_single_index.html']", "Question."),
    ("93_frames", "[href$='#figure-linear_coupling']", "Figure 6.2."),
]
SAYS = "words => document.querySelector('#preview:not([hidden])')?.textContent.includes(words)"
TYPESET = "() => !document.querySelector('#preview .math:not(:has(mjx-container))')"


@pytest.mark.parametrize(("page", "leads", "words"), PREVIEWS, ids=lambda x: x)
def test_a_link_shows_what_it_leads_to(browser, site, page, leads, words):
    "By pointer and by keyboard, typeset, within a phone's width, until Escape."
    with browser.new_context(viewport=PHONE) as context:
        one = context.new_page()
        one.goto(f"{site[1]}/{page}.html")
        one.evaluate("window.MathJax?.startup.promise.then(() => 1)")
        link, shown = one.locator(f"article a{leads}:visible").first, one.locator("#preview")
        for point in (link.hover, lambda: (one.keyboard.press("Tab"), link.focus())):
            point()
            one.wait_for_function(SAYS, arg=words)
            one.wait_for_function(TYPESET)
            assert shown.locator("mjx-merror").count() == 0
            box = shown.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
            one.keyboard.press("Escape")
            assert shown.is_hidden()
            one.mouse.move(0, 0)


def test_a_finger_follows_links(browser, site):
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/12_langevin.html")
        page.locator("article a[href*='bibliography.html#']").first.tap()
        page.wait_for_url("**/bibliography.html#*")


def test_answers_are_folded_until_asked_for(browser, site):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site[1]}/01_sphere.html")
        fold = page.locator("details", has=page.get_by_text("A worked answer"))
        answer = fold.get_by_text("expected of a million", exact=False).last
        assert fold.count() == 1 and not answer.is_visible()
        fold.locator("summary").click()
        assert answer.is_visible()


def test_without_javascript_a_chapter_shows_its_text_and_pictures(browser, site):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/06_coupling.html", wait_until="load")
        pictures = page.locator("figure.picture:not(details *) img")  # not folded
        assert page.get_by_text("Question.").first.is_visible() and pictures.count() > 3
        assert all(
            one.is_visible() and one.evaluate("i => i.naturalWidth") for one in pictures.all()
        )


def test_a_picture_is_enlarged_by_click_and_key_and_left_by_escape(browser, site):
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/06_coupling.html")
        dialog, link = page.locator("dialog.zoom"), page.locator("figure.picture > a").first
        for open_it in (link.click, lambda: link.press("Enter")):
            open_it()
            page.wait_for_function("document.querySelector('dialog.zoom img').naturalWidth")
            assert dialog.is_visible() and dialog.locator("img").bounding_box()["width"] > 800
            assert dialog.evaluate("d => d.scrollWidth > d.clientWidth")  # a finger moves it
            page.keyboard.press("Escape")
            assert not dialog.is_visible()


def test_the_book_on_paper_has_all_chapters_and_every_word_of_the_code_of_one(site):
    pypdf = pytest.importorskip("pypdf", reason="no pypdf: install the extra [site]")
    from poc_book.pdf import contents
    from poc_book.settings import open_book

    folder, _ = site
    if not (folder / "poc_book.pdf").is_file():
        pytest.skip("no PDF here: make pdf")
    whole = pypdf.PdfReader(folder / "poc_book.pdf")
    assert (folder / "poc_book.pdf").stat().st_size < 25_000_000
    printed = {name for pages in contents(folder).values() for name in pages}
    assert {*open_book(CHECKOUT).chapters} <= printed
    assert {f"/{name}" for name in printed} <= {*whole.named_destinations}
    notebooks = {name for name in printed if (folder / f"files/{name}/{name}.ipynb").is_file()}
    assert {p.stem for p in folder.glob("files/*/*.pdf")} == notebooks - {"index"}
    assert 'href="poc_book.pdf"' in (folder / "index.html").read_text()

    alone = pypdf.PdfReader(folder / "files/09_single_index/09_single_index.pdf")
    words = "".join(
        re.sub(r"\A\d+\n", "", page.extract_text()) for page in alone.pages
    )  # but their numbers
    bare = lambda text: re.sub(r"\s", "", text)
    html = (folder / "09_single_index.html").read_text()
    lines = re.findall(r'<span class="line"[^>]*>(.*?)</span>\n', html)
    codes = [bare(unescape(re.sub("<[^>]*>", "", line))) for line in lines]
    assert len(codes) > 200 and [code for code in codes if code not in bare(words)] == []


def test_the_inspection_sees_each_fault(browser, tmp_path):
    (tmp_path / "index.html").write_text("""<article><img src="gone.png"><p>a raw $x$</p>
        <p style="color: #ddd; background: #fff">hardly there</p><div style="width: 900px">wide</div>
        <div style="overflow-x: auto"><div style="width: 900px">scrolls</div></div>
        <script src="http://localhost:9/elsewhere.js"></script><script>undefined_name()</script></article>""")
    with server(tmp_path, 0) as one:
        Thread(target=one.serve_forever, daemon=True).start()
        page = look(browser, f"http://127.0.0.1:{one.server_port}/index.html")
        one.shutdown()
    assert (
        page["wordless"]
        and page["broken"]
        and page["untypeset"] == ["a raw $x$"]
        and len(page["console"]) >= 2
    )
    assert page["foreign"] == ["http://localhost:9/elsewhere.js"]
    assert "390: the page" in page["overflow"] and "1280: the page" not in page["overflow"]
    assert len(page["faint"]) == 2 and all("hardly there, 1.36" in one for one in page["faint"])
    assert not any("scrolls" in e for e in page["overflow"])
