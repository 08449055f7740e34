"""How Sphinx renders the site.

Title and description are those of _quarto.yml; the pages come from poc_book.site.
"""

import re
import sys
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import yaml
from pygments.formatters import HtmlFormatter
from sphinx.highlighting import PygmentsBridge
from sphinx.search.en import SearchEnglish

quarto = Path(__file__).resolve().parents[1] / "_quarto.yml"
website = yaml.safe_load(quarto.read_text(encoding="utf-8"))["website"]
project = html_title = website["title"]
author = "The poc_book authors"
language = "en"

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinxcontrib.bibtex", "_links", "_listings"]
myst_enable_extensions = ["amsmath", "attrs_block", "deflist", "dollarmath", "fieldlist"]
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
html_js_files = ["search.js", "cards.js", "zoom.js", "explorer.js", "preview.js"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_copyright = html_show_sourcelink = False


class Folded(SearchEnglish):
    "Words without their accents, as `search.js` asks for them: Grönwall finds Gronwall."

    def split(self, input: str) -> list[str]:
        letters = (c for c in unicodedata.normalize("NFD", input) if not unicodedata.combining(c))
        return super().split("".join(letters))


PLAIN = re.compile('<span class="[npw]">([^<]*)</span>')  # names, signs: as all text


class Hanging(HtmlFormatter):
    "Code whose lines know their indentation: one too long for a phone or paper goes on below it."

    def wrap(self, source):
        return super().wrap(self._line(*one) for one in source)

    def _line(self, kind, line):
        text = re.sub("<[^>]*>", "", line)
        indent = len(text) - len(text.lstrip(" "))
        code = PLAIN.sub(r"\1", line.rstrip("\n"))
        return kind, f'<span class="line" style="--indent:{indent}ch">{code}</span>\n'


PygmentsBridge.html_formatter = Hanging


def setup(app):
    app.add_search_language(Folded)
