import json

import numpy as np
import pytest

import headrace.devices
from headrace.cli import main
from headrace.library import images
from rtl.spec.isa import Load, Loop, MatMul, Vector, decode
from sim.functional import ModelDevice
from tests.mapper import synthetic


pytestmark = pytest.mark.seconds(1)


class Broken(ModelDevice):
    """Differs in one bit of a logit, where a program has many layers, far on, or many columns."""

    layers, position, columns = 2, 0, 1

    def __init__(self, config, **options):
        super().__init__(config)

    def step(self, tokens, position, head):
        step = super().step(tokens, position, head)
        layers = next(
            (
                insn.count
                for insn in map(decode, self.program)
                if isinstance(insn, Loop) and insn.count
            ),
            0,
        )
        if (
            head
            and layers >= self.layers
            and position + len(tokens) > self.position
            and len(tokens) >= self.columns
        ):
            step.logits.view(np.uint32)[5] ^= 1
        return step


class Slipped(ModelDevice):
    """Spoils a word of what one node computes, in one layer."""

    node, layer = "layer / ffn / silu 0", 1

    def __init__(self, config, **options):
        super().__init__(config)

    def step(self, tokens, position, head):
        layers = []

        def slip(pc, insn):
            node = self.image.node(pc)
            if isinstance(insn, Load) and node == "layer / attention / norm":
                layers.append(pc)  # the gains of another layer
            if (
                isinstance(insn, (Vector, MatMul))
                and node == self.node
                and len(layers) == self.layer
            ):
                last = insn.dst + insn.column * insn.stride if isinstance(insn, MatMul) else insn.d
                self.machine.vector[last] = 1e4

        self.trace = slip
        return super().step(tokens, position, head)


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    monkeypatch.setitem(
        headrace.devices.DEVICES, "sim", "tests.headrace.commands.test_compare:Broken"
    )
    kinds = {"token_embd.weight": synthetic.Type.Q8_0}
    model = synthetic.write(tmp_path / "tiny.gguf", kinds=kinds)

    def call(*args, **broken):
        for name, value in broken.items():
            monkeypatch.setattr(Broken, name, value)
        code = main(["compare", "--model", str(model), "--prompt", "hello world, so", *args])
        return code, *capsys.readouterr()

    return call


def test_equal(compare):
    code, out, err = compare(layers=9)
    assert code == 0 and err == "" and out.count("equal") == 2
    assert out.endswith(
        "sim and the functional model agree, bit by bit, wherever they were compared\n"
    )


@pytest.mark.parametrize("bisect", [[], ["--bisect"]])
@pytest.mark.parametrize("layers", [1, 2])
def test_first_layer_that_differs(compare, layers, bisect):
    code, out, _ = compare(*bisect, "--json", layers=layers)
    result = json.loads(out)
    assert code == 1 and result["first_difference"] == layers
    row = next(row for row in result["rows"] if row["layers"] == layers)
    assert row["different"] == 1 and row["rank"] == 5
    assert row["expected"][0] == row["came"][0] and row["expected"][1] ^ row["came"][1] == 1


def test_first_layer_that_differs_for_people(compare):
    code, out, _ = compare(layers=2)
    first, second, last = out.splitlines()
    assert (
        code == 1
        and first.endswith("equal")
        and "1 differ, first number 6: expected token" in second
    )
    assert last.startswith("layer 2 is the first that differs: ")


@pytest.mark.parametrize(
    "broken, hint",
    [
        ({"columns": 2}, "only with several columns at a time"),
        ({"position": 0}, "at the first position already"),
        ({"position": 3}, "from position 3 on; look at attention"),
    ],
)
def test_hint(compare, broken, hint):
    assert hint in compare("--layers", "2", **broken)[1]


@pytest.mark.parametrize(
    "layer, node",
    [
        (1, "layer / attention / norm"),
        (2, "layer / attention / kv"),
        (1, "layer / attention / q / rope"),
        (2, "layer / ffn / silu 0"),
        (1, "layer / ffn / down"),
        (2, "layer / ffn / add"),
    ],
)
def test_first_node_that_differs(compare, monkeypatch, node, layer):
    monkeypatch.setitem(
        headrace.devices.DEVICES, "sim", "tests.headrace.commands.test_compare:Slipped"
    )
    monkeypatch.setattr(Slipped, "node", node)
    monkeypatch.setattr(Slipped, "layer", layer)
    code, out, _ = compare("--json")
    result = json.loads(out)
    assert code == 1 and (result["first_difference"], result["node"]) == (layer, node)


def test_first_node_for_people(compare, monkeypatch):
    monkeypatch.setitem(
        headrace.devices.DEVICES, "sim", "tests.headrace.commands.test_compare:Slipped"
    )
    assert (
        compare()[1]
        .splitlines()[-1]
        .startswith("layer 1 is the first that differs, and there 'layer / ffn / silu 0': ")
    )


def test_layers(compare):
    assert [
        row["layers"] for row in json.loads(compare("--layers", "2..2", "--json")[1])["rows"]
    ] == [2]
    for wrong in "0..1", "2..3", "2..1", "a", "":
        code, out, err = compare("--layers", wrong)
        assert (code, out) == (2, "")
        assert err == f"headrace: --layers must be A..B from 1 to 2, not {wrong!r}\n"
