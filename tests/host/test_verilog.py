from host.cli import main


def test_files(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rtl.verilog.emit", lambda config, path: path.write_text(config.name))
    assert main(["verilog", "--config", "wide", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "headrace.v").read_text() == "wide"
    assert "## MATMUL" in (tmp_path / "out" / "isa.md").read_text()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["headrace.v", "isa.md", "registers.md"]


def test_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["verilog", "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith("file: cannot be written: File exists\n")
