"""`import headrace`: what it offers, typed and documented, and how it refuses what cannot be."""

import inspect
import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

import headrace
from host.configurations import named
from rtl.spec.dram import DRAMS
from rtl.spec.isa import WeightFormat

from ..mapper import synthetic


ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FUNCTIONS = [name for name in headrace.__all__ if inspect.isfunction(getattr(headrace, name))]
CLASSES = [name for name in headrace.__all__ if inspect.isclass(getattr(headrace, name))]
OURS = [name for name in CLASSES if getattr(headrace, name).__module__.startswith("headrace.")]


def in_a_process(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_import_brings_nothing_slow():
    """Nothing but the standard library, and little of that, before something is asked for."""
    assert (
        in_a_process(
            "import sys; before = {*sys.modules}; import headrace; print(*sorted("
            "{m.partition('.')[0] for m in {*sys.modules} - before} - {*sys.stdlib_module_names}))"
        )
        == "headrace\n"
    )


def test_a_machine_needs_no_model_and_a_model_no_simulator():
    slow = "print(*(m for m in ('torch', 'numba', 'mapper', 'sim', 'sw_ref') if m in sys.modules))"
    assert in_a_process(f"import sys, headrace; headrace.machine('small', lanes=8); {slow}") == "\n"
    assert "sim" not in in_a_process(f"import sys, headrace; headrace.load('tiny'); {slow}").split()


def test_names():
    assert {*headrace.PLACES} == {*headrace.__all__} <= {*dir(headrace)}
    with pytest.raises(AttributeError, match="^module 'headrace' has no attribute 'lode'$"):
        headrace.lode
    for place in headrace.PLACES.values():  # what type checkers are told is where things are
        module, _, name = place.partition(":")
        assert hasattr(import_module(module), name)


def test_version():
    assert headrace.__version__ == PROJECT["project"]["version"]
    assert (
        in_a_process("from headrace.cli import main; main(['--version'])").strip()
        == headrace.__version__
    )


def untyped(function):
    """Parameters of a function without an annotation, and `return`."""
    signature = inspect.signature(function)
    yield from (
        name
        for name, p in signature.parameters.items()
        if p.annotation is p.empty and name != "self" and not name.startswith("_")
    )
    if signature.return_annotation is signature.empty and function.__name__ != "__init__":
        yield "return"


def test_what_is_untyped_is_found():
    def function(self, a, b: int):
        pass

    assert list(untyped(function)) == ["a", "return"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_typed_and_documented(name):
    function = getattr(headrace, name)
    assert not list(untyped(function)) and inspect.getdoc(function)


@pytest.mark.parametrize("name", OURS)
def test_classes_are_typed_and_documented(name):
    cls = getattr(headrace, name)
    assert inspect.getdoc(cls)
    for method, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else getattr(value, "func", value)
        if inspect.isfunction(function) and (not method.startswith("_") or method == "__init__"):
            if (
                function.__qualname__.startswith("__create_fn__")
                or method == "__init__"
                and "__match_args__" in vars(cls)
            ):
                continue  # a dataclass's own
            assert not list(untyped(function)), f"{name}.{method}"
            assert method == "__init__" or inspect.getdoc(function), f"{name}.{method}"


def test_types_are_shipped():
    """Type checkers look at what an installed package declares."""
    data = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    assert "py.typed" in data
    for name in ("headrace", "host", "rtl", "mapper", "sw_ref"):
        assert (ROOT / name / "py.typed").exists()


# Machines


def test_machine_by_name():
    assert headrace.machine() is headrace.machine("wide") is named()["wide"]
    assert headrace.machine(headrace.machine("small")) is named()["small"] and headrace.names() == [
        *named()
    ]


@pytest.mark.parametrize(
    "values, name, field, value",
    [
        ({"columns": 2}, "wide+columns=2", "columns", 2),
        ({"core": "lut"}, "wide+core=lut", "core", "lut"),
        ({"formats": ["U4", "S8"]}, "wide+formats=U4,S8", "formats", ("U4", "S8")),
        ({"dram": "ideal"}, "wide+dram=ideal", "dram", DRAMS["ideal"]),
        ({"dram": DRAMS["ideal"]}, "wide+dram=ideal", "dram", DRAMS["ideal"]),
        ({"dram": {"latency": 60}, "lanes": 4}, "wide+dram.latency=60,lanes=4", "lanes", 4),
        ({"dram": {"mop": False}}, "wide+dram.mop=false", "lanes", 8),
        ({"name": "mine", "lanes": 4}, "mine", "lanes", 4),
    ],
)
def test_machine_with_values_changed(values, name, field, value):
    machine = headrace.machine("wide", **values)
    assert machine.name == name and getattr(machine, field) == value


def test_machine_as_the_command_line_has_it(tmp_path):
    """The same value by either way, so that what is kept for one serves the other."""
    from headrace.options import MachineOptions

    path = tmp_path / "mine.toml"
    path.write_text('base = "small"\nlanes = 8\n')
    typed = MachineOptions(config=str(path), set=("columns=2", "dram.latency=30")).machine()
    assert typed == headrace.machine(path, columns=2, dram={"latency": 30})


@pytest.mark.parametrize(
    "machine, added",
    [
        (headrace.machine("wide"), ("U5", "S6")),
        (headrace.machine("small-lut"), ("U5", "S6")),
        (headrace.machine("small", formats=["U4", "S8"]), ()),  # chosen
        (headrace.machine("ecpix5-85f"), ()),  # a bitstream has what it has
    ],
    ids=lambda its: getattr(its, "name", ""),
)
def test_formats_of_a_file_are_added(tmp_path, machine, added):
    """Where nobody chose any, and there are ones to add."""
    kinds = {"blk.0.ffn_down.weight": Type.Q6_K, "blk.1.attn_v.weight": Type.Q5_1}
    path = synthetic.write(tmp_path / "m.gguf", kind=Type.Q4_K, kinds=kinds, sizes=synthetic.WIDE)
    found = headrace.load(path).suited(machine)
    assert found.formats == tuple(f.name for f in WeightFormat if f.name in machine.formats + added)
    assert found.name == "+".join([machine.name, *added])
    report = headrace.load(path).compile(machine, context=32).report
    becomes = {t["type"]: t["format"] for t in report["tensors"]}
    assert becomes == {
        "Q4_K": "U4",
        "Q5_1": "U5" if "U5" in found.formats else "S8",
        "Q6_K": "S6" if "S6" in found.formats else "S8",
    }
    assert headrace.load("tiny").suited(machine) == machine


@pytest.mark.parametrize(
    "base, values, said",
    [
        ("huge", {}, "the configuration must be one of small, wide, "),
        ("wide", {"colums": 2}, "machine: there is no field 'colums'; did you mean columns?"),
        (
            "wide",
            {"columns": 99},
            "machine: Configuration 'wide+columns=99': columns must be from 1 to 16, not 99",
        ),
        ("wide", {"columns": "2"}, "machine: columns: Expected `int`, got `str`"),
        (
            "wide",
            {"dram": {"latencies": 2}},
            "machine: dram: there is no field 'latencies'; did you mean latency?",
        ),
        ("wide", {"dram": 3}, "machine: dram must be a name or a table, not 3"),
    ],
)
def test_machine_refused(base, values, said):
    with pytest.raises(headrace.Error) as error:
        headrace.machine(base, **values)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


# Models on machines


@pytest.fixture(scope="module")
def tiny():
    return headrace.load("tiny")


def test_all_ways_to_run_are_the_same(tiny):
    settings = dict(device="model", tokens=6)
    with tiny.on("small", device="model") as runner:
        tokens = list(runner.generate("We must", tokens=6))
        answer = runner.run("We must", tokens=6)
        again = runner.run("We must", tokens=6)  # a sequence of its own
    assert answer.text == again.text == "".join(token.text for token in tokens)
    assert [token.id for token in answer.tokens] == [token.id for token in tokens]
    assert (
        answer.stopped == "tokens"
        and len(answer.prompt_ids) == 2
        and answer.cycles_per_token is None
    )
    assert headrace.run("tiny", "We must", machine="small", **settings).text == answer.text
    assert "".join(t.text for t in headrace.generate(tiny, "We must", **settings)) == answer.text
    assert headrace.run(tiny, "We must", **settings).figures["config"] == "wide"


def test_run_as_the_command_line_does(tiny, capsys):
    from headrace.cli import main

    assert (
        main(
            [
                "run",
                "--model",
                "tiny",
                "--prompt",
                "We must",
                "--tokens",
                "4",
                "--device",
                "model",
                "--json",
            ]
        )
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    answer = headrace.run(tiny, "We must", device="model", tokens=4)
    assert [token.id for token in answer.tokens] == said["token_ids"] and answer.text == said[
        "text"
    ]
    assert said["top_logits"] == [token.top_logits for token in answer.tokens]


def test_sampling(tiny):
    def text(seed):
        sampling = headrace.Sampling(temperature=2.0, seed=seed)
        return headrace.run(tiny, "We must", device="model", tokens=8, sampling=sampling).text

    assert text(1) == text(1) != text(2)


def test_program(tiny, tmp_path):
    image = headrace.compile(tiny, "small", context=64)
    path = tmp_path / "tiny.safetensors"
    image.save(path)
    program = headrace.load(path)
    assert isinstance(program, headrace.Program) and program.machine == headrace.machine("small")
    assert program.name == tiny.name and program.image().digest == image.digest
    assert (
        headrace.run(program, "We must", device="model", tokens=4).text
        == headrace.run("tiny", "We must", device="model", tokens=4).text
    )
    for call, said in [
        (lambda: program.compile(), f"{path}: must be a model, this is an image already"),
        (
            lambda: program.on(context=32),
            f"{path}: an image's context is fixed, context must be left out; ",
        ),
        (
            lambda: program.on("wide"),
            f"{path}: the image was compiled for configuration 'small' with digest ",
        ),
        (
            lambda: program.on(headrace.machine("small", formats=["U4", "S8"])),
            f"{path}: the image has weights in ",
        ),
    ]:
        with pytest.raises(headrace.Error) as error:
            call()
        assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda m: headrace.load(""), "model must be a model, it is empty"),
        (lambda m: headrace.load("nowhere.gguf"), "nowhere.gguf: no such model; give a GGUF file"),
        (lambda m: m.on("wide", device="tpu"), "device must be one of model, sim, uart:PORT"),
        (
            lambda m: m.on("wide", device="model", timeline="x"),
            "timeline needs device sim, not model",
        ),
        (lambda m: m.on("huge"), "the configuration must be one of small, wide, "),
        (lambda m: m.on(context=0), "context must be at least 1, not 0"),
        (
            lambda m: m.on(context=10**6),
            "context must be from 1 to 512, the positions that the model was trained for",
        ),
        (lambda m: m.on().run("We", tokens=0), "tokens must be at least 1, not 0"),
        (lambda m: m.on().run(""), "prompt: it must have at least one token, it is empty"),
        (lambda m: m.on().run("We", chat=True), "chat: the model file has no chat template"),
        (
            lambda m: headrace.compare(m, "We", device="model", layers=range(0, 2)),
            "layers must be from 1 to ",
        ),
    ],
)
def test_refused(tiny, monkeypatch, call, said):
    """Before a device is built."""
    monkeypatch.setattr("sim.fpga.build.accelerator_library", None)
    with pytest.raises(headrace.Error) as error:
        call(tiny)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_device_that_refuses_an_image_is_closed(tiny, monkeypatch):
    from sim.functional import ModelDevice

    closed = []
    monkeypatch.setattr(ModelDevice, "load", lambda self, image: 1 / 0)
    monkeypatch.setattr(ModelDevice, "close", lambda self: closed.append(self))
    with pytest.raises(ZeroDivisionError):
        tiny.on(device="model").run("We must")
    assert len(closed) == 1


def test_compare(tiny):
    result = headrace.compare(tiny, "We must", device="model", layers=range(2, 4))
    assert result.equal and [row["layers"] for row in result.rows] == [2, 3] and result.hint is None


def test_verilog(tmp_path, monkeypatch):
    monkeypatch.setattr("rtl.verilog.emit", lambda config, path: path.write_text(config.name))
    files = headrace.verilog(headrace.machine("small", lanes=8), tmp_path)
    assert [path.name for path in files] == ["headrace.v", "registers.md", "isa.md"]
    assert files[0].read_text() == "small+lanes=8"
