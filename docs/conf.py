"""How Sphinx renders the site.

Title and description are those of _quarto.yml; the pages come from poc_book.site.
"""

import re
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.search.en import SearchEnglish
from sphinx.util.nodes import make_refnode

quarto = Path(__file__).resolve().parents[1] / "_quarto.yml"
website = yaml.safe_load(quarto.read_text(encoding="utf-8"))["website"]
project = html_title = website["title"]
author = "The poc_book authors"
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinxcontrib.bibtex"]
myst_enable_extensions = ["amsmath", "attrs_block", "deflist", "dollarmath"]
myst_dmath_double_inline = True  # $$ within a paragraph is display mathematics, as in JupyterLab
myst_heading_anchors = 4
myst_html_meta = {"description": website["description"]}
nb_merge_streams = True
nb_output_stderr = "remove"  # what a run says of itself: it stays in the notebooks
nb_execution_mode = "off"  # the chapters were executed by `make figures`
nb_render_markdown_format = "myst"
bibtex_bibfiles = [str(quarto.parent / "poc_book/data/references.bib")]

# MathJax from the site itself, in parts: two thirds of the size of the whole, which stays behind
mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static"
mathjax_path = "mathjax/startup.js"
mathjax3_config = {"loader": {"load": ["input/tex", "output/chtml", "a11y/assistive-mml"]}}

html_theme = "furo"
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}
html_static_path = ["_static", str(mathjax)]
exclude_patterns = ["mathjax/*-*.js", "mathjax/sre", "mathjax/ui", "mathjax/output/svg*"]
html_css_files = ["book.css"]
html_js_files = ["search.js", "cards.js", "explorer.js"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_copyright = html_show_sourcelink = False


class Folded(SearchEnglish):
    "Words without their accents, as `search.js` asks for them: Grönwall finds Gronwall."

    def split(self, input: str) -> list[str]:
        letters = (c for c in unicodedata.normalize("NFD", input) if not unicodedata.combining(c))
        return super().split("".join(letters))


def link_names(app, doctree, docname):
    "A public name in the prose of a page leads to its entry in the reference, where it means one."
    if docname.startswith("api/"):
        return
    objects = app.env.domains["py"].objects
    meant = {}
    for full in objects:
        parts = full.split(".")[1:]  # without the package
        for i in range(len(parts)):
            meant.setdefault(".".join(parts[i:]), set()).add(full)
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        if not re.search(r"[._(]", text):  # a word of its own may mean anything
            continue
        full = meant.get(text.removeprefix("poc_book.").removesuffix("()"), set())
        inside = isinstance(literal.parent, nodes.reference | addnodes.pending_xref)
        if len(full) != 1 or inside:
            continue
        (name,) = full
        entry = objects[name]
        place = entry.docname, entry.node_id
        link = make_refnode(app.builder, docname, *place, literal.deepcopy(), name)
        literal.replace_self(link)


def setup(app):
    app.add_search_language(Folded)
    app.connect("doctree-resolved", link_names)
