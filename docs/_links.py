"""What prose names becomes a link: "equation (6.1)", "Lemma 5", "Chapter 6", "Figure 6.2",
"Nitanda (2024)", and in code a public name of the library.

Notebooks need no markup for this but TeX's own: an equation that is used again has a `\\tag{6.1}`.
What there is to lead to is read from the sources of the pages, before Sphinx reads them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from _listings import sections
from docutils import nodes
from pybtex.database import Entry
from pybtex.richtext import Text
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

Place = tuple[str, str]  # a page, and an id on it: none for the page itself

TAG = re.compile(r"\\tag\{(\d+\.\d+)\}")
CARD = re.compile(r'<div class="card" id="([^"]+)"[^>]*>\s*\*\*(.+?)\*\*')
FIGURE = re.compile(r'<figure[^>]* id="([^"]+)"(?:(?!</figure>).)*?(Figure \d+[a-z]?\.\d+)', re.S)
STATED = re.compile(r"\*\*(?:(\w+ \d+)\*\* \(in our words|(Assumption) \((\w+)\)\.\*\*)")
NUMBERED = re.compile(
    r"(Theorem|Lemma|Definition|Remark|Proposition|Equation|Inequality|Figure) \S"
)


def texts(page: Path) -> Iterator[str]:
    "The prose of a page, and what its cells show as text."
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            yield "".join(cell["source"])
        for output in cell.get("outputs", []):
            yield from map("".join, output.get("data", {}).values())


def chapters(quarto: Path) -> dict[str, Place]:
    "The page of each number; of several notebooks with one number the first."
    found = {}
    for name in chain(*sections(quarto).values()):
        if number := re.match(r"\d+", name):
            found.setdefault(f"Chapter {int(number[0])}", (name, ""))
    return found


def statements(cards: dict[str, Place]) -> dict[str, Place]:
    "The first card of each numbered statement: a card may be one of its parts, or of several."
    found = {}
    for name, place in cards.items():
        name = name.partition(",")[0]
        if several := re.fullmatch(r"Lemmas (\d+)-(\d+)", name):
            first, last = map(int, several.groups())
            names = [f"Lemma {i}" for i in range(first, last + 1)]
            names += [name, f"Lemmas {first} to {last}"]
        else:
            names = [name] if NUMBERED.match(name) else []
        for one in names:
            found.setdefault(one, place)
    return found


def targets(pages: list[Path]) -> dict[str, Place]:
    "Equations, figures and statements by what prose calls them."
    found, cards, stated = {}, {}, {}
    for page in pages:
        for text in texts(page):
            for tag in TAG.findall(text):
                found[f"({tag})"] = page.stem, f"eq-{tag}"
            for id, name in FIGURE.findall(text):
                found.setdefault(name, (page.stem, id))
            for id, name in CARD.findall(text):
                cards[name] = page.stem, id
            for parts in STATED.findall(text):
                name = " ".join(filter(None, parts))
                stated[name] = page.stem, nodes.make_id(name)
    return found | stated | statements(cards)


def works(entries: Mapping[str, Entry]) -> dict[str, str]:
    'Works by how prose cites them: "A and B (2003)", "A, B and C 2005", "A and others 2024".'
    found = {}
    for key, entry in entries.items():
        last = [Text.from_latex(" ".join(one.last_names)) for one in entry.persons["author"]]
        *most, final = map(str, last)
        names = [f"{', '.join(most)} and {final}"] if most else [final]
        if len(most) > 1:
            names += [f"{most[0]} and others", f"{most[0]} et al."]
        year = entry.fields["year"]
        for name in names:
            found[f"{name} {year}"] = found[f"{name} ({year})"] = key
    return found


def phrases(app) -> dict[str, Place]:
    "Everything that prose can name, in every way it does so."
    pages = sorted(Path(app.srcdir).glob("*.ipynb"))
    found = chapters(Path(app.confdir).parent / "_quarto.yml") | targets(pages)
    for name, place in list(found.items()):
        if name.startswith("("):
            found |= {f"{word} {name}": place for word in ("equation", "equations", "Equation")}
        elif name.startswith(("Chapter", "Figure")):
            found |= {name.lower(): place, name.replace(" ", "s ", 1): place}
        elif name.startswith(("Equation", "Inequality")):
            found[name.lower()] = place
    cited = {one.key: one for one in app.env.get_domain("cite").citations}
    for name, key in works({key: one.entry for key, one in cited.items()}).items():
        found[name] = cited[key].bibliography_key.docname, cited[key].citation_id
    return found


def pattern(known: dict[str, Place]) -> re.Pattern:
    "Finds what is known, the longest name first; lines may break within it."
    names = sorted(known, key=len, reverse=True)
    anyway = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in names)
    return re.compile(rf"(?<!\w)(?:{anyway})(?!\.?\w)")


def give_ids(doctree) -> None:
    "An id to every equation with a tag, and to each paragraph that states a theorem."
    for formula in doctree.findall(nodes.math_block):
        if tag := TAG.search(formula.astext()):
            formula["ids"].append(f"eq-{tag[1]}")
    for strong in doctree.findall(nodes.strong):
        name, rest = strong.astext(), strong.parent.astext()
        if stated := STATED.match(f"**{name}**{rest.removeprefix(name)}"):
            strong.parent["ids"].append(nodes.make_id(" ".join(filter(None, stated.groups()))))


def link_phrases(app, doctree, docname) -> None:
    "What a text names leads there; not from titles, code and links, nor to where one is."
    if not hasattr(app, "phrases"):
        app.phrases = phrases(app)
        app.pattern = pattern(app.phrases)
    closed = nodes.title | nodes.literal | nodes.literal_block | nodes.reference | nodes.math
    closed |= nodes.math_block | nodes.raw | nodes.citation | addnodes.desc_signature
    for text in list(doctree.findall(nodes.Text)):
        parent, parts, end = text.parent, [], 0
        while parent is not None and not (
            isinstance(parent, closed) or "meta" in parent["classes"]
        ):
            parent = parent.parent
        if parent is not None:
            continue
        for found in app.pattern.finditer(text):
            page, id = app.phrases[" ".join(found[0].split())]
            if page == docname and (not id or isinstance(text.parent, nodes.strong)):
                continue
            parts.append(nodes.Text(text[end : found.start()]))
            parts.append(make_refnode(app.builder, docname, page, id, nodes.Text(found[0])))
            end = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


IMPORTED = re.compile(r"^from poc_book\.(\w+) import (?:\(([^)]*)\)|(.*))", re.M)
DEFINED = re.compile(r"^(?:def|class) (\w+)", re.M)


def used(doctree) -> dict[str, str]:
    "The names that the code of a page imports, with their modules, and those that it defines."
    code = "\n".join(block.astext() for block in doctree.findall(nodes.literal_block))
    names = dict.fromkeys(DEFINED.findall(code), "")
    for module, many, few in IMPORTED.findall(code):
        names |= dict.fromkeys(re.findall(r"\w+", many or few), f"poc_book.{module}")
    return names


def link_names(app, doctree, docname) -> None:
    """A public name in prose leads to its entry in the reference, where it means one. A word of its
    own may mean anything, but what the code of the page calls by it."""
    objects = app.env.domains["py"].objects
    meant = {}
    for full, entry in objects.items():
        parts = full.split(".")[1:]  # without the package
        for i in range(len(parts)):
            meant.setdefault(".".join(parts[i:]), {})[full] = entry
    own = used(doctree)
    for literal in list(doctree.findall(nodes.literal)):
        name, call, _ = literal.astext().removeprefix("poc_book.").partition("(")
        found = meant.get(name, {})
        if call:
            found = {full: one for full, one in found.items() if one.objtype != "module"}
        if len(found) > 1 and own.get(name):
            full = f"{own[name]}.{name}"
            found = {full: found[full]} if full in found else {}
        inside = isinstance(literal.parent, nodes.reference | addnodes.pending_xref)
        word = re.fullmatch(r"[A-Za-z]+", literal.astext()) and name not in own
        if len(found) != 1 or inside or word:
            continue
        (entry,) = found.values()
        place = entry.docname, entry.node_id
        literal.replace_self(make_refnode(app.builder, docname, *place, literal.deepcopy()))


def on_resolved(app, doctree, docname) -> None:
    give_ids(doctree)
    link_phrases(app, doctree, docname)
    link_names(app, doctree, docname)


def setup(app) -> dict[str, bool]:
    app.connect("doctree-resolved", on_resolved)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
