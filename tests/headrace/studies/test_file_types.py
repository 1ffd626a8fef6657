"""`python -m headrace.studies.file_types`: a tiny model instead of SmolLM2."""

import json

import pytest

from headrace.studies import file_types as study
from headrace.studies.file_types import heads_block, traffic, types_block
from mapper.read.gguf_container import File
from mapper.write.gguf import KINDS
from tests.mapper import synthetic


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The study of a small model, of two types and heads, with a page of its own."""
    model = synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.Q8_0, sizes=synthetic.WIDE)
    page, text = tmp_path / "docs" / "files.md", tmp_path / "text"
    page.parent.mkdir()
    page.write_text(
        "# Files\n\n<!-- begin types -->\n<!-- end types -->\n\n<!-- begin heads -->old\n"
        "<!-- end heads -->\n"
    )
    text.write_text("hello world, or so. " * 10)
    for name, value in {
        "MODEL": str(model),
        "TYPES": ("Q4_0", "mixed"),
        "HEADS": ("S8", "U5"),
        "PAGE": page,
        "ROOT": tmp_path,
        "BUILD": tmp_path / "build",
        "WINDOW": 64,
    }.items():
        monkeypatch.setattr(study, name, value)
    return page, text


@pytest.mark.seconds(8)
def test_tables(small, capsys):
    page, text = small
    assert study.main([str(text), "--tokens", "40"]) == 0
    lines = page.read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    types, heads = rows[2:4], rows[6:8]
    assert [(row[0], row[1], row[3]) for row in types] == [
        ("Q4_0", "14 Q4_0, 1 Q6_K", "none"),
        ("mixed", "12 Q4_K, 3 Q6_K", "none"),
    ]
    assert [row[2] for row in types] == ["U4, S6", "U4, S6"]
    assert [row[:2] for row in heads][0] == ["S8", "as in the file"]
    assert heads[1][0] == "U5" and 3 < float(heads[1][1].removesuffix(" %")) < 5
    assert all(row[-1].endswith(" %") for row in types + heads)
    assert heads[0][5] == heads[1][5] != types[0][10]  # float32 of the file's own weights
    assert "old" not in page.read_text()
    # What was measured is not measured again.
    known = study.BUILD / "Q4_0-40.json"
    known.write_text(json.dumps(json.loads(known.read_text()) | {"perplexity": 1e6}))
    assert study.main([str(text), "--tokens", "40"]) == 0
    assert "1000000.00" in page.read_text()
    assert not list(study.BUILD.glob("*.gguf"))


@pytest.mark.seconds(10)
@pytest.mark.parametrize("kind", [k for k in KINDS if k[0] != "T" and k not in ("Q1_0", "Q2_K")])
def test_stream_is_as_large_as_the_file(kind, tmp_path, monkeypatch):
    """Within 3 % for types of 4 bits and more, each matrix, once rows are as long as models'."""
    monkeypatch.setattr(study, "WINDOW", 64)
    sizes = {"hidden": 1024, "heads": 16, "ffn": 1024}
    path = synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type[kind], sizes=sizes)
    found = traffic(path)
    file = File(path)
    assert found["types"] == {kind: 15}
    assert found["file_bytes"] == sum(
        tensor.size for tensor in file.tensors.values() if len(tensor.shape) == 2
    )
    if kind[0] in "FB":  # floats
        assert found["rounded"] == 15 and found["most"] < 1
    elif kind == "Q3_K":
        assert found["most"] < 2  # its groups of 16 have scales of their own: S6 keeps its codes
    else:
        assert not found["rounded"] and found["most"] <= 1.03


def test_mistakes(small, capsys):
    page, text = small
    for args, said in [
        ((text, "--tokens", 1), "--tokens must be at least 2, not 1"),
        ((text.with_name("no"), "--tokens", 9), "no: "),
    ]:
        assert study.main([str(arg) for arg in args]) == 2
        assert said in capsys.readouterr().err
    assert page.read_text().count("old") == 1


def test_blocks():
    """A change is relative to float32, and tensors that were rounded are counted."""
    its = {"perplexity": 10.1, "reference_perplexity": 10.0}
    types = {
        **its,
        "type": "F16",
        "types": {"F16": 3},
        "formats": {"S8": 5},
        "most": 0.5,
        "file_bytes": 2e6,
        "stream_bytes": 1e6,
        "scale_error": 0.0,
        "rounded": 3,
    }
    assert list(types_block([types]))[2] == (
        "| F16 | 3 F16 | S8 | 3 | 2.0 | 1.0 | 0.500 | 0.500 | 0.00 % | 10.10 | 10.00 | +1.00 % |"
    )
    heads = {**its, "format": "U4", "error": 0.09, "bytes": 1e6, "weight_bytes": 2e6}
    assert list(heads_block([heads]))[2] == (
        "| U4 | 9.00 % | 1.0 | 2.0 | 10.10 | 10.00 | +1.00 % |"
    )
