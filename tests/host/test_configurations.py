"""Configurations that users write: files, changed values, and what is refused of them."""

import json
import tomllib
from argparse import ArgumentParser
from dataclasses import fields, replace

import pytest

from headrace import cli, options
from headrace.commands.config import explained
from headrace.options import MachineOptions, add_machine
from host.configurations import from_dict, named, read, to_dict, to_toml
from host.errors import UserError
from rtl.spec.config import CORES, DEFAULTS, Config, get
from rtl.spec.dram import DRAMS


def parsed(*argv, default="wide"):
    parser = ArgumentParser()
    add_machine(parser, default)
    return options.read(MachineOptions, parser.parse_args(argv)).machine(default)


def changed(name, *settings):
    return parsed("--config", name, *(part for setting in settings for part in ("--set", setting)))


@pytest.mark.parametrize("config", named().values(), ids=lambda config: config.name)
def test_round_trip(config, tmp_path):
    path = tmp_path / f"{config.name}.toml"
    path.write_text(to_toml(config))
    assert read(str(path)) == config
    assert from_dict(json.loads(json.dumps(to_dict(config))), "here") == config
    assert named()[config.name] is parsed("--config", config.name) is config


def test_changed_values_round_trip():
    config = changed("wide", "dram.latency=60", "columns=2", "clock_mhz=250")
    assert config.name == "wide+dram.latency=60,columns=2,clock_mhz=250"
    assert config.dram == replace(
        DRAMS["ddr4-2400-x64"], name="ddr4-2400-x64+latency=60", latency=60
    )
    assert (config.columns, config.clock_mhz, config.lanes) == (2, 250, 8)
    assert from_dict(tomllib.loads(to_toml(config)), "here") == config


@pytest.mark.parametrize(
    "settings, expected",
    [
        (["core=lut"], {"core": "lut", "formats": DEFAULTS["lut"]}),
        (["core=lut", "formats=U4,S8"], {"core": "lut", "formats": ("U4", "S8")}),
        (["formats=['U4', 'S8']"], {"formats": ("U4", "S8")}),
        (["dram=ideal"], {"dram": DRAMS["ideal"], "dram_peak": 64 * 300e6}),
        (["dram=ddr3-800-x16", "dram.ck_ps=2000"], {"dram_peak": 2e9}),
        # The peak follows from the clock, whatever it was.
        (["dram.ck_ps=1000"], {"dram_peak": 16e9}),
        (["dram.ck_ps=1000", "dram.latency=3"], {"dram_peak": 16e9}),
        (["lanes=4", "lanes=16"], {"lanes": 16}),
        (["name=mine", "lanes=4"], {"name": "mine"}),
    ],
)
def test_set(settings, expected):
    config = changed("wide", *settings)
    for field, value in expected.items():
        got = getattr(config, field)
        assert (set(got) == set(value)) if field == "formats" else got == value


FILE = """
base = "small"
columns = 2
core = "dspchain"
[dram]
base = "ddr3-800-x16"
latency = 30
"""


def test_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    config = parsed("--config", str(path), "--set", "lanes=8")
    small = get("small-dspchain")
    dram = replace(DRAMS["ddr3-800-x16"], name="ddr3-800-x16+latency=30", latency=30)
    assert config == replace(small, name="mine+lanes=8", columns=2, lanes=8, dram=dram)


def test_dram_file(tmp_path, monkeypatch):
    """A memory's own file, beside a configuration's; with a base, which may be a file, too."""
    (tmp_path / "slow.toml").write_text('base = "ddr3-800-x16"\nlatency = 60\n')
    (tmp_path / "slower.toml").write_text('base = "slow.toml"\nck_ps = 5000\n')
    (tmp_path / "mine.toml").write_text('base = "small"\ndram = "slower.toml"\n')
    slow = replace(DRAMS["ddr3-800-x16"], name="slow", latency=60)
    slower = replace(slow, name="slower", ck_ps=5000, peak=0.8e9)
    assert parsed("--config", str(tmp_path / "mine.toml")).dram == slower
    monkeypatch.chdir(tmp_path)
    assert changed("small", "dram=slow.toml").dram == slow
    faster = replace(slow, name="slow+latency=5", latency=5)
    assert changed("small", "dram=slow.toml", "dram.latency=5").dram == faster


@pytest.mark.parametrize(
    "text, said",
    [
        ("ck_ps = 0", "{path}: DRAM 'slow': ck_ps must be from 1 to 1000000, not 0"),
        ("latenci = 1", "{path}: there is no field 'latenci'; did you mean latency?"),
        ('base = "ddr9"', f"{{path}}: base must be one of {', '.join(DRAMS)}, or a file"),
        ('base = "slow.toml"', "{path}: base must be another file, not "),
        (None, "{path}: cannot be read: "),
    ],
)
def test_wrong_dram_file(text, said, tmp_path):
    path = tmp_path / "slow.toml"
    if text:
        path.write_text(text)
    (tmp_path / "mine.toml").write_text('base = "small"\ndram = "slow.toml"\n')
    with pytest.raises(UserError) as error:
        parsed("--config", str(tmp_path / "mine.toml"))
    assert str(error.value).startswith(said.format(path=path)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("lanes = ", "must be TOML: Invalid value "),
        ("lanes = 4", "needs beat_bits, or a base that has it"),
        ('base = "huge"', f"base must be one of {', '.join(named())}, not 'huge'"),
        ("base = []", f"base must be one of {', '.join(named())}, not []"),
        ("base = 3", f"base must be one of {', '.join(named())}, not 3"),
        ('base = "small"\ncolums = 3', "there is no field 'colums'; did you mean columns?"),
        ('base = "small"\ncolumns = "3"', "columns: Expected `int`, got `str`"),
        (
            'base = "small"\ncolumns = 99',
            "Configuration 'mine': columns must be from 1 to 16, not 99",
        ),
        (
            'base = "small"\n[dram]\nbase = "ddr9"',
            f"dram.base must be one of {', '.join(DRAMS)}, or a file *.toml, not 'ddr9'",
        ),
        (
            'base = "small"\ndram = "ddr9"',
            f"dram must be one of {', '.join(DRAMS)}, or a file *.toml, not 'ddr9'",
        ),
        ('base = "small"\ndram = 9', "dram must be a name or a table, not 9"),
        (
            'base = "small"\n[dram]\nlatencies = 9',
            "dram: there is no field 'latencies'; did you mean latency?",
        ),
        (
            'base = "small"\n[dram]\nck_ps = 0',
            "dram: DRAM 'of a table': ck_ps must be from 1 to 1000000, not 0",
        ),
    ],
)
def test_wrong_file(text, said, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        parsed("--config", str(path))
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "setting, said",
    [
        ("columns", "--set must be FIELD=VALUE, such as columns=2; not 'columns'"),
        ("=2", "--set must be FIELD=VALUE, such as columns=2; not '=2'"),
        ("columns=", "--set columns=: columns: Expected `int`, got `str`"),
        (
            "dram.rcd=-1",
            "--set dram.rcd=-1: dram: DRAM 'ddr4-2400-x64+rcd=-1': rcd must be from 0 to ",
        ),
        (
            "core=abacus",
            "--set core=abacus: Configuration 'wide+core=abacus': core must be one of systolic, ",
        ),
        (
            "formats=U9,S8",
            "--set formats=U9,S8: Configuration 'wide+formats=U9,S8': the formats of core "
            "'systolic' ",
        ),
    ],
)
def test_wrong_setting(setting, said):
    with pytest.raises(UserError) as error:
        changed("wide", setting)
    assert str(error.value).startswith(said)


def test_unknown_name():
    with pytest.raises(UserError) as error:
        parsed("--config", "huge")
    assert str(error.value) == (
        f"the configuration must be one of {', '.join(named())}, or a file *.toml; not 'huge'"
    )


def test_command(capsys, tmp_path):
    assert cli.main(["config", "small", "--set", "core=lut"]) == 0
    out = capsys.readouterr().out
    path = tmp_path / "small+core=lut.toml"
    path.write_text(out)
    config = read(str(path))
    assert config == replace(get("small-lut"), name="small+core=lut") and config.digest in out
    assert cli.main(["config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**to_dict(config), "digest": config.digest}


def test_every_value_is_explained(capsys):
    """A stranger may change the file without the source at hand; a comment changes no value."""
    config = changed("small", "dram.latency=30")
    text = explained(to_toml(config))
    assert from_dict(tomllib.loads(text), "here") == config
    top, table, _ = text.partition("\n[dram]")
    lines = top.splitlines()
    for field in {f.name for f in fields(Config)} - {"name", "dram"}:
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{field} = "))
        assert lines[at - 1].startswith("# ") and "`" not in lines[at - 1], field
    assert table and f"# Linear core: one of {', '.join(CORES)}.\ncore = " in text
    assert cli.main(["config", "small", "--set", "dram.latency=30"]) == 0
    assert capsys.readouterr().out.endswith(text)


def test_image_carries_its_configuration(capsys, tmp_path):
    """It runs without the file that it was compiled with, and with what changes no bit of it."""
    image, file = tmp_path / "a.safetensors", tmp_path / "mine.toml"
    file.write_text('base = "small"\nlanes = 8\nact_groups = 128\n')
    assert cli.main(["compile", "--model", "tiny", "--config", str(file), "-o", str(image)]) == 0
    file.unlink()
    capsys.readouterr()
    run = ["run", "--model", str(image), "--device", "model", "--tokens", "2", "--json"]
    assert cli.main(run) == 0
    tokens = json.loads(capsys.readouterr().out)["token_ids"]
    assert cli.main([*run, "--set", "core=lut", "--set", "clock_mhz=50"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert got["token_ids"] == tokens and got["clock_mhz"] == 50
    assert got["config"] == "mine+core=lut,clock_mhz=50"
    assert cli.main([*run, "--set", "lanes=4"]) == 2
    assert "the image was compiled for configuration 'mine' with digest " in capsys.readouterr().err
