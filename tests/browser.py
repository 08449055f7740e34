"""Every page of the built sites in a real browser. Not collected by default: `pytest
tests/browser.py` (minutes).

Skipped without Chromium or a built site."""

import json
import re
import shutil
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

import pytest
from conftest import CHECKOUT

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: install the extra [site]"
)
pytest.importorskip("sphinx", reason="no Sphinx: install the extra [site]")
from poc_book.site import server  # noqa: E402

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SITES = sorted(CHECKOUT.glob("build/*/site"))
LIMIT = 2_000_000  # bytes of a page with all it loads, uncompressed, nothing cached
PATIENCE = 120_000  # ms, for a page on a machine that does much else
PHONE = {"width": 390, "height": 844}

# What a page looks like to its reader, asked of the page itself once every fold is open.
INSPECT = """() => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const article = document.querySelector("article") || document.body, wide = innerWidth + 1;
  const scrolls = e => e && e !== document.body && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
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
    overflow: [...(document.documentElement.scrollWidth >= wide ? ["the page"] : []),
      ...[...article.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > wide && !scrolls(e.parentElement))
        .map(e => e.outerHTML.slice(0, 80))],
    untypeset: [...raw, ...[...document.querySelectorAll("mjx-merror, .math:not(:has(mjx-container))")].map(e => e.textContent)],
    formulas: document.querySelectorAll("mjx-container").length,
    weight: performance.getEntries().reduce((sum, e) => sum + (e.decodedBodySize || 0), 0),
    text: article.innerText,
  };
}"""


def look(browser, url: str, **options) -> dict:
    """What a reader with an empty cache gets at `url` on a phone, with what the console said and
    what was asked of whom."""
    with browser.new_context(viewport=PHONE, **options) as context:
        page, console, asked = context.new_page(), [], []
        page.on(
            "console", lambda m: console.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda e: console.append(str(e)))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(url, timeout=PATIENCE)
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
        return page.evaluate(INSPECT) | {"console": console, "foreign": foreign}


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
    return {
        str(p.relative_to(folder)): look(browser, f"{url}/{p.relative_to(folder)}")
        for p in sorted(folder.rglob("*.html"))
    }


def complaints(seen: dict, field: str) -> dict:
    return {path: page[field] for path, page in seen.items() if page[field]}


@pytest.mark.parametrize(
    "field", ["console", "foreign", "wordless", "broken", "untypeset", "overflow"]
)
def test_every_page_loads_alone_is_typeset_has_words_for_pictures_and_fits_a_phone(seen, field):
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
    for chapter in (folder / "files").iterdir():
        borrowed = chapter.name == "index"  # the moving picture of Chapter 6
        assert (
            seen[f"{chapter.name}.html"]["pictures"] == len(list(chapter.glob("*.nc"))) + borrowed
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


def test_the_reader_moves_degree_dimension_and_width(browser, site):
    """Chapter 11: every control changes curves and words, as the stored results say; the still
    picture makes way."""
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{site[1]}/11_fluctuations.html")
        place = page.locator(".explorer")
        cases = json.loads(place.locator("script").text_content())
        seen = lambda: (
            place.locator("[data-curve=law]").get_attribute("d"),
            place.locator("p[aria-live]").inner_text(),
        )
        assert (
            page.locator("#figure-explorer > a").is_hidden()
            and place.locator("[data-curve]").count() == 4
        )
        before = [seen()]
        for control, key in (
            ("width", "ArrowRight"),
            ("dim", "ArrowLeft"),
        ):  # by keyboard, as some readers do
            place.locator(f"input[name={control}]").press(key)
            before.append(seen())
        place.locator("select").select_option("2")
        before.append(seen())
        m, d = (
            int(place.locator(f"label:has([name={name}]) output").inner_text())
            for name in ("width", "dim")
        )
        one = next(c for c in cases if (c["degree"], c["dim"]) == (2, d))
        error = float(re.search(r"from its limit by ([\d.]+)(?:·10\^(-?\d+))?", before[-1][1])[1])
        power = re.search(r"from its limit by [\d.]+·10\^(-?\d+)", before[-1][1])
        assert error * 10.0 ** int(power[1] if power else 0) == pytest.approx(
            one["law"][-1] / m, rel=0.06
        )
    assert len({curve for curve, _ in before}) == len({words for _, words in before}) == 4


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


def test_the_inspection_sees_each_fault(browser, tmp_path):
    (
        tmp_path / "index.html"
    ).write_text("""<article><img src="gone.png"><p>a raw $x$</p><div style="width: 900px">wide</div>
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
    assert page["foreign"] == ["http://localhost:9/elsewhere.js"] and "the page" in page["overflow"]
    assert not any("scrolls" in e for e in page["overflow"])
