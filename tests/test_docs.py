"""Generated documents are up to date, and the diagram's arrows end at its boxes."""

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from headrace.docs import diagram, generate as document
from headrace.docs.diagram import BOXES, FRAMES, WIRES


ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("path", document.DOCUMENTS, ids=str)
def test_generated(path):
    assert (ROOT / path).read_text() == document.generate(path), f"run `make docs` to update {path}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} has a link to {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_files_exist(path):
    names = re.findall(
        r"`((?:headrace|rtl|sim|host|mapper|sw_ref|boards|tests|docs)/[\w/.-]*\w\.\w+)`",
        path.read_text(),
    )
    if path.parent == ROOT:  # folders, too
        names += re.findall(
            r"`((?:headrace|rtl|sim|host|mapper|sw_ref|boards|tests|docs)/[\w/]*)`",
            path.read_text(),
        )
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing, f"{path.name} names files that do not exist"


def test_the_guide_shows_a_family():
    """Whole, as it is."""
    text = (ROOT / "docs" / "adding-a-family.md").read_text()
    shown = re.findall(r"`(\S+)`, whole:\n\n```python\n(.*?)```", text, re.S)
    assert [name for name, _ in shown] == ["mapper/families/qwen3.py"]
    assert all(code == (ROOT / name).read_text() for name, code in shown)


def words(text):
    """The words that a glossary explains, in lines of a table."""
    cells = re.findall(r"^\| (.+?) \|", text, re.M)
    return [word for cell in cells for word in cell.split(", ") if word != "Word"]


def test_glossary_has_each_word_once():
    """Several meanings of a word are told apart behind it: `unit (of DRAM)`."""
    found = words((ROOT / "docs" / "glossary.md").read_text())
    assert len(found) > 60 and len(set(found)) == len(found)
    for word in found:
        assert not any(other.startswith(f"{word} (") for other in found), word


def test_words_of_a_glossary():
    assert words("| Word | Meaning |\n|--|--|\n| a, b | x |\n| a | y |\n") == ["a", "b", "a"]


def test_svg_is_well_formed():
    ElementTree.fromstring("\n".join(diagram.svg()))


def test_boxes_do_not_overlap():
    for (a, p), (b, q) in combinations(BOXES.items(), 2):
        apart = p.x + p.w <= q.x or q.x + q.w <= p.x or p.y + p.h <= q.y or q.y + q.h <= p.y
        assert apart, f"{a} and {b} overlap"


@pytest.mark.parametrize("name", BOXES)
def test_text_fits(name):
    box = BOXES[name]
    sizes = [diagram.TITLE, *[diagram.SMALL] * len(box.lines)]
    for text, size in zip((box.title, *box.lines), sizes):
        assert diagram.text_width(text, size) < box.w


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: " ".join(map(str, wire.points)))
def test_wires(wire):
    def on_border(x, y):
        return any(
            (x in (b.x, b.x + b.w) and b.y <= y <= b.y + b.h)
            or (y in (b.y, b.y + b.h) and b.x <= x <= b.x + b.w)
            for b in (*BOXES.values(), *FRAMES.values())
        )

    points = list(wire.coordinates())
    assert on_border(*points[-1])
    assert on_border(*points[0]) or points[0][1] == diagram.BUS
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        assert (x0 == x1) != (y0 == y1), "a wire must be horizontal or vertical"
        for name, b in BOXES.items():
            crosses = (
                max(min(x0, x1), b.x) < min(max(x0, x1), b.x + b.w)
                if y0 == y1
                else b.x < x0 < b.x + b.w
            )
            crosses &= (
                max(min(y0, y1), b.y) < min(max(y0, y1), b.y + b.h)
                if x0 == x1
                else b.y < y0 < b.y + b.h
            )
            assert not crosses, f"passes through {name}"
