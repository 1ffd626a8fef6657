"""Each step of a compilation, as text."""

import pytest

from headrace.cli import main
from headrace.commands import compile as command
from mapper.compile import Compilation
from mapper.dump import STEPS, dump
from rtl.spec.config import get
from rtl.spec.isa import Sync, decode
from sim.models.toy import toy_model


EXPECTED = {
    "graph": ["    layer / ffn / down = Linear(layer / ffn / silu, weight=down, bias=None): 128"],
    "rewrites": [
        "layer / attention / norm: 1/rms behind the product",
        "layer / attention / attend: keys and values before queries",
        "layer / ffn / silu: gate and up in chunks",
    ],
    "quantize": ["down              128    192  down 0 to 128", "head         S8"],
    "place": ["         0  program", "   256    128     1 to    2  embedding"],
    "schedule": ["   0  scalar rd=3  # embedding"],
}


@pytest.fixture(scope="module")
def compilation():
    return Compilation(toy_model(), get("small"), 32)


def test_all_are_tested():
    assert set(EXPECTED) == set(STEPS) == set(command.STEPS)


@pytest.mark.parametrize("step", EXPECTED)
def test_step(compilation, step):
    lines = dump(compilation, step).splitlines()
    assert [line for line in EXPECTED[step] if line not in lines] == []


def test_schedule_is_the_program(compilation):
    """An instruction a line, with its node, and of a SYNC the reason."""
    image = compilation.image()
    lines = dump(compilation, "schedule").splitlines()
    assert len(lines) == image.length
    for pc, line in enumerate(lines):
        text, comment = line.split("  # ")
        node, *why = comment.split(": ")
        assert text.split()[0] == str(pc) and node == image.node(pc)
        assert bool(why) == isinstance(decode(image.instructions[pc]), Sync)
    taken = (
        "column 0 of the activation buffer, written by VECTOR, before LINEAR's layer / ffn / down"
    )
    assert any(line.endswith(f"  # layer / ffn / down: {taken}") for line in lines)


def test_command(capsys):
    assert main(["compile", "--model", "tiny", "--config", "small", "--dump", "graph"]) == 0
    assert "layer / attention / q = Linear(" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--dump", "loops"],
            "--dump must be one of graph, rewrites, quantize, place, schedule, not 'loops'",
        ),
        (["--dump", "graph", "--json"], "--dump prints text, --json must be left out"),
    ],
)
def test_refused(capsys, arguments, message):
    assert main(["compile", "--model", "tiny", *arguments]) == 2
    assert capsys.readouterr().err == f"headrace: {message}\n"
