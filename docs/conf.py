"How Sphinx renders the site. Title and description are those of _quarto.yml; the pages come from poc_book.site."
from pathlib import Path

import yaml

website = yaml.safe_load((Path(__file__).resolve().parents[1] / "_quarto.yml").read_text(encoding="utf-8"))["website"]
project = html_title = website["title"]
author = "The poc_book authors"
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinxcontrib.bibtex"]
myst_enable_extensions = ["amsmath", "attrs_block", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_html_meta = {"description": website["description"]}
nb_execution_mode = "off"  # the chapters were executed by `make figures`
nb_render_markdown_format = "myst"
nb_code_prompt_show, nb_code_prompt_hide = "Show the {type}", "Hide the {type}"
bibtex_bibfiles = ["references.bib"]

# MathJax from the site itself, in parts: two thirds of the size of the whole
mathjax_path = "mathjax/startup.js"
mathjax3_config = {"loader": {"load": ["input/tex", "output/chtml", "a11y/assistive-mml"]}}

html_theme = "sphinx_book_theme"
html_theme_options = {"home_page_in_toc": True, "use_download_button": False, "use_fullscreen_button": False,
                      "show_toc_level": 2}
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_last_updated_fmt = None
