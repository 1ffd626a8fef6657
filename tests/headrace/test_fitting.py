"""The machine for a model where nobody named one."""

from dataclasses import replace

import pytest

from headrace.library.machines import fitting
from host import configurations
from host.errors import UserError
from mapper.compile import compile_model
from mapper.families import FAMILIES
from rtl.spec.config import MOST, get
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


WIDE = get("wide")


@pytest.mark.parametrize(
    "model",
    [toy_model(), toy_model(hidden=576, heads=9, kv_heads=3, ffn=1536, layers=1)],
    ids=["toy", "smollm2"],
)
def test_default(model):
    """What fits it takes it, and there is nothing to say."""
    assert fitting(model) == (WIDE, None)
    assert fitting(model, head="U4") == (WIDE, None)


def test_formats_are_added():
    """To the default, as before."""
    machine, why = fitting(toy_model(format=WeightFormat.U5))
    assert machine == replace(WIDE, name="wide+U5", formats=(*WIDE.formats, "U5")) and why is None
    assert fitting(toy_model(), head="S6")[0].name == "wide+S6"


def test_another_that_has_a_name():
    """One that is as wide, and whose core takes the model's formats."""
    model = toy_model(format=WeightFormat.U2)
    machine, why = fitting(model)
    assert machine == get("wide-lut")
    assert why.startswith("toy: kv has U2 weights, but configuration 'wide', with core 'systolic',")
    assert why.endswith(": took 'wide-lut'") and "\n" not in why
    with pytest.raises(UserError, match="^toy: kv has U2 weights, but configuration 'small'"):
        fitting(model, base=get("small"))  # somebody's own default


DERIVED = {
    "heads": (
        dict(heads=2, head_dim=128),
        dict(head_dim=128),
        "heads of 64 elements, the model needs 128",
    ),
    "activations": (
        dict(hidden=64, ffn=4096, layers=1),
        dict(vector_words=65536, act_groups=128),
        "32768 words of vector memory, the model needs {vector_words}; "
        "64 groups of activations, the model needs 128",
    ),
}


@pytest.mark.parametrize("name", DERIVED)
def test_derived(name):
    sizes, values, said = DERIVED[name]
    model = toy_model(**sizes)
    machine, why = fitting(model)
    label = ",".join(f"{field}={value}" for field, value in values.items())
    assert machine == replace(WIDE, name=f"wide+{label}", **values)
    report = compile_model(model, machine, 32).report
    said = said.format(**report)
    assert why == f"configuration 'wide' has {said}: derived {machine.name!r}"
    # Nor does it take less, but for the vector memory's power of two.
    with pytest.raises(UserError):
        compile_model(model, WIDE, 32)


CAP = {"score_cap": 5.0}
NEEDED = {"gemma2": CAP}  # by the toys of families


@pytest.mark.seconds(1)
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, tmp_path):
    """Every family's toy compiles for what is derived, whose TOML is that machine again."""
    model = toy_model(family=family)
    machine, why = fitting(model)
    needed = NEEDED.get(family, {})
    assert machine == replace(WIDE, name=machine.name, **needed) and bool(why) == bool(needed)
    compile_model(model, machine, 64)
    (toml := tmp_path / "mine.toml").write_text(configurations.to_toml(machine))
    assert replace(configurations.read(str(toml)), name=machine.name) == machine


HEADS = {  # heads of so many elements on so many lanes: what is derived
    (16, 16): dict(lanes=8),
    (32, 16): {},
    (48, 16): dict(lanes=8),
    (80, 16): dict(lanes=8, head_dim=128),
    (80, 8): dict(head_dim=128),
    (96, 16): dict(head_dim=128),
    (112, 16): dict(lanes=8, head_dim=128),
    (192, 16): dict(head_dim=256),
}


@pytest.mark.parametrize("dim, lanes", HEADS)
def test_heads(dim, lanes):
    """Of all multiples of 16, on lanes that half of a head is a multiple of."""
    model = toy_model(layers=1, heads=2, head_dim=dim)
    base = replace(WIDE, name="mine", lanes=lanes)
    machine, why = fitting(model, base=base)
    values = HEADS[dim, lanes]
    assert machine == replace(base, name=machine.name, **values)
    assert ("half of a head is a multiple of 8" in (why or "")) == ("lanes" in values)
    compile_model(model, machine, 32)
    if values:
        with pytest.raises(UserError, match="cannot be mapped to configuration 'mine'"):
            compile_model(model, base, 32)


def test_lanes_without_rotation():
    """Where nothing is rotated, heads are whole lines of any lanes."""
    model = toy_model(family="gpt2", layers=1, heads=2, head_dim=48)
    base = replace(WIDE, name="mine", lanes=16)
    assert fitting(model, base=base) == (base, None)
    compile_model(model, base, 32)


def test_cap_of_no_machine():
    model = toy_model(family="gemma2", layers=3, attention_cap=200.0)
    with pytest.raises(
        UserError, match="^toy: scores are capped at 200, the machine takes caps from 1 to 100$"
    ):
        fitting(model)


def test_formats_and_sizes():
    """Derived from the first whose core takes the formats."""
    model = toy_model(format=WeightFormat.U2, heads=2, head_dim=256)
    machine, why = fitting(model)
    assert machine == replace(get("wide-lut"), name="wide-lut+head_dim=256", head_dim=256)
    assert why.startswith("toy: kv has U2") and why.endswith("derived 'wide-lut+head_dim=256'")
    compile_model(model, machine, 32)


def test_fewer_columns(monkeypatch):
    monkeypatch.setitem(MOST, "vector_words", 4096)
    machine, why = fitting(toy_model(), base=replace(WIDE, vector_words=2048, name="mine"))
    assert (machine.columns, machine.vector_words) == (3, 4096)
    assert why.startswith("configuration 'mine' has 4 columns, the vector memory has room for 3; ")


def test_chosen_values_stay():
    """The compiler refuses then, and says what was needed."""
    model, base = toy_model(heads=2, head_dim=128), replace(WIDE, name="mine", vector_words=256)
    assert fitting(model, base=base, fixed=["vector_words", "lanes"]) == (base, None)
    machine, _ = fitting(model, base=base, fixed=["lanes"])
    assert machine.head_dim == 128 and machine.vector_words > 256


def test_too_large():
    model = toy_model()
    model = replace(model, shape=replace(model.shape, heads=256))
    with pytest.raises(UserError, match="^toy: .*: 256 query heads, the machine takes 255$"):
        fitting(model)
