"""What machines read of the site: `llms.txt`, and where its address is known a sitemap and the
tags of a social card. A Sphinx extension."""

import os
from html import escape
from pathlib import Path

import yaml
from docutils import nodes

owner, _, repository = os.environ.get("GITHUB_REPOSITORY", "").partition("/")
address = f"https://{owner}.github.io/{repository}/" if repository else ""
CARD = "files/card.png"


def summary(doctree: nodes.document) -> str:
    "The line under a page's title."
    places = nodes.section | nodes.block_quote  # not those of a table
    found = (p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, places))
    first = next(found, None)
    return " ".join(first.astext().split()) if first else ""


def sections(quarto: Path) -> dict[str, list[str]]:
    "The notebooks of each section of `_quarto.yml`."
    contents = yaml.safe_load(quarto.read_text(encoding="utf-8"))["website"]["sidebar"]["contents"]
    _, *parts = contents  # the first page
    return {one["section"]: [Path(name).stem for name in one["contents"]] for one in parts}


def listed(app) -> dict[str, list[str]]:
    "The pages of each section of `_quarto.yml`, and what else there is."
    pages = {}
    for title, notebooks in sections(Path(app.confdir).parent / "_quarto.yml").items():
        parts = [app.env.toctree_includes.get(name, []) for name in notebooks]
        pages[title] = [page for name, own in zip(notebooks, parts) for page in (name, *own)]
    known = {"index", *(page for own in pages.values() for page in own)}
    return pages | {"Reference": sorted(app.env.found_docs - known)}


def write_llms(app) -> None:
    "Every page with its title and what it says of itself, in the format of llmstxt.org."
    lines = [f"# {app.config.project}", "", f"> {app.config.myst_html_meta['description']}"]
    for section, pages in listed(app).items():
        lines += ["", f"## {section}", ""]
        for page in pages:
            title = app.env.titles[page].astext()
            lines.append(f"- [{title}]({address}{page}.html): {summary(app.env.get_doctree(page))}")
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_sitemap(app) -> None:
    "Every page by its address."
    pages = sorted(app.env.found_docs)
    places = "\n".join(f"<url><loc>{escape(f'{address}{page}.html')}</loc></url>" for page in pages)
    name = "http://www.sitemaps.org/schemas/sitemap/0.9"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{name}">\n{places}\n</urlset>\n'
    (Path(app.outdir) / "sitemap.xml").write_text(text, encoding="utf-8")


def write(app, exception) -> None:
    if exception is None:
        write_llms(app)
        if address:
            write_sitemap(app)


def add_card(app, page, template, context, doctree) -> None:
    "The title, the line and the picture that a link to a page is shown with."
    if doctree is None:  # as of the index of names
        return
    said = {
        "og:site_name": app.config.project,
        "og:title": context["title"],
        "og:description": summary(doctree),
        "og:url": f"{address}{page}.html",
        "og:image": address + CARD if (Path(app.srcdir).parent / CARD).is_file() else "",
        "twitter:card": "summary_large_image",
    }
    tags = [f'<meta property="{k}" content="{escape(v)}">' for k, v in said.items() if v]
    context["metatags"] += "\n" + "\n".join(tags)


def setup(app):
    app.connect("build-finished", write)
    if address:
        app.connect("html-page-context", add_card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
