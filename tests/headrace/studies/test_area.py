from headrace.studies import area
from boards.synthesis import Area


def test_table(capsys, monkeypatch):
    """Of the named components, in the order of the command line, at that configuration."""
    asked = []
    monkeypatch.setattr(area, "synthesize", lambda text, family: asked.append((text, family)) or
                        Area(family, 200 + len(asked), 30, 4, 0, {}, 1.0))
    assert area.main(["load", "multiplier", "--config", "wide"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| load | 201 | 30 | 4 | 0 |",
                                                        "| multiplier | 202 | 30 | 4 | 0 |"]
    assert [family for _, family in asked] == ["ecp5", "ecp5"]
    # 512 bits of a beat at `wide`.
    assert "wire width 512" in asked[0][0] and "part00" in asked[1][0]


def test_wrong(capsys):
    assert area.main(["lanes"]) == 2
    error, = capsys.readouterr().err.splitlines()
    assert error.startswith("area: PART must be one of multiplier; adder; lane; ")
    assert error.endswith("; whole, not 'lanes'")
    assert area.main(["--config", "huge"]) == 2
    error, = capsys.readouterr().err.splitlines()
    assert error.startswith("area: the configuration must be one of ") and error.endswith("; not 'huge'")
