"""What every family must have; a new one is found by itself."""

from dataclasses import replace

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from mapper.families import FAMILIES, called, family
from mapper.hyperparameters import Hyperparameters, Rotary
from mapper.passes import lowerable
from mapper.place import place
from mapper.read import gguf_model, hf_model
from mapper.read.row_order import half_split
from mapper.sequencer_registers import COLUMN_WORDS
from rtl.spec.config import get
from sim.models.toy import toy_model
from sw_ref.float32 import Float32
from sw_ref.graph import Head
from sw_ref.pytorch import interpreter as pytorch

from .. import synthetic
from ..read import hf_files


SIZES = Hyperparameters(
    hidden=128,
    heads=4,
    kv_heads=2,
    head_dim=64,
    ffn=192,
    vocab=96,
    layers=2,
    norm_eps=1e-5,
    rope=Rotary(theta=10000.0, dim=64),
)


def with_features(name):
    """Sizes, and what turns a family's features on."""
    its = FAMILIES[name]
    return replace(SIZES, **({} if its.rotary else {"rope": None}) | dict(its.toy))


@pytest.mark.parametrize("name", FAMILIES)
def test_graph(name):
    """Its tensors are those that files are searched for, it ends in a head, and can be placed."""
    found = FAMILIES[name]
    graph = found.graph(with_features(name))
    read = {tensor for node in graph for tensor in node.tensors}
    modules = {*found.linears, *found.norms, *found.outside}
    named = {tensor.removesuffix("_bias") for tensor in read}
    assert not named - modules, "the graph reads what is not listed in linears, norms or outside"
    assert not modules - named, "linears, norms or outside list what the graph does not read"
    for tensor in read:
        module, suffix = found.file_names(tensor)
        assert module in (*found.linears.values(), *found.norms.values(), *found.outside.values())
        assert suffix == ("bias" if tensor.endswith("_bias") else "weight")
    assert isinstance(graph.nodes[-1], Head)
    assert (
        place(lowerable(graph, 64), get("small"), COLUMN_WORDS).words <= get("small").vector_words
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_interpreters(name):
    """A toy of it means the same to the interpreters in numpy and in PyTorch."""
    model, ids = toy_model(family=name), [5, 17, 80, 3]
    expected = pytorch.Float32(model)(ids).numpy()
    (got,) = Float32(model)([ids])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", FAMILIES)
def test_names_in_files_differ(name):
    its = FAMILIES[name]
    names = [*its.linears.values(), *its.norms.values(), *its.outside.values()]
    for kind in ("gguf", "hf"):
        assert len({getattr(each, kind) for each in names}) == len(names)
    # In GGUF files `ffn_up` may have the gate's rows as well.
    assert not {its.names.hf for its in its.fused} & {each.hf for each in names}
    assert all({*each.parts} <= {*its.linears} for each in its.fused)


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_names_of_architectures_differ(kind):
    """No file is of two families."""
    names = [name for its in FAMILIES.values() for name in its.called(kind)]
    assert len({*names}) == len(names) and {*names} == {*called(kind)}


def test_a_name_is_registered_once():
    def llama(p):
        pass

    with pytest.raises(
        ValueError, match="^Families must differ in their names, 'llama' is there already$"
    ):
        family(gguf="llama", hf="llama", linears={}, norms={})(llama)


def test_files_are_of_their_family(monkeypatch, tmp_path):
    """Readers take a family's names, shapes and order of rows from its file, and no other."""
    llama = FAMILIES["llama"]

    def fields(f, values):
        return {"activation": f.choice(None, "hidden_act", {"relu2": "relu2"}, "relu2")}

    named = replace(llama, name="other", gguf="other", hf="other", interleaved=())
    monkeypatch.setitem(FAMILIES, "other", replace(named, fields=fields))
    of_hf = hf_model.read(
        hf_files.write(tmp_path / "m", config={"model_type": "other", "hidden_act": "relu2"})
    )
    of_gguf = gguf_model.read(synthetic.write(tmp_path / "m.gguf", arch="other", kind=Type.F32))
    plain = gguf_model.read(synthetic.write(tmp_path / "llama.gguf", kind=Type.F32))
    assert of_hf.family == of_gguf.family == "other" and plain.family == "llama"
    assert of_hf.shape.activation == of_gguf.shape.activation == "relu2"
    assert plain.shape.activation == "silu"
    q, other = (each.layers[0].linears["q"].float32() for each in (plain, of_gguf))
    np.testing.assert_array_equal(q, other[half_split(2, 64)])
    for name, config in ("llama", {"hidden_act": "xielu"}), ("other", {"hidden_act": "silu"}):
        with pytest.raises(UserError, match="'hidden_act' must be"):
            hf_model.read(hf_files.write(tmp_path / name, config={"model_type": name, **config}))
    with pytest.raises(UserError, match="'model_type' must be .*'llama'.* or 'other', not 'aya'"):
        hf_model.read(hf_files.write(tmp_path / "aya", config={"model_type": "aya"}))
