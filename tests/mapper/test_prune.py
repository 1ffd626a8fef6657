"""Pruning: the patterns hold, and what is left makes up for what went."""

from dataclasses import replace

import numpy as np
import pytest

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper import prune as module
from mapper.families import FAMILIES
from mapper.prune import Pattern, prune, prune_layer, prune_matrix
from mapper.read import hf_model, native
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import BLOCK
from sim.models.toy import toy_model
from sw_ref.float32 import Float32
from sw_ref.interpreter import TOKENS

from ..sw_ref.pytorch.test_interpreter import without_norm
from . import synthetic


ROWS, DEPTH = 48, 160
NAMES = ("2:4", "8:16", "4:16", "2:16", "mixed")


@pytest.fixture(scope="module")
def problem():
    """A matrix, and activations that depend on each other."""
    rng = np.random.default_rng(5)
    mixing = np.eye(DEPTH) + 0.3 * rng.standard_normal((DEPTH, DEPTH))
    acts = rng.standard_normal((2000, DEPTH)) @ mixing
    return rng.standard_normal((ROWS, DEPTH)).astype(np.float32), acts


def loss(weight, pruned, acts):
    """Share of the products' energy that is lost."""
    return np.square((pruned - weight) @ acts.T).sum() / np.square(weight @ acts.T).sum()


def by_magnitude(weight, name):
    size, count = (4, 2) if name == "2:4" else (BLOCK, int(name.split(":")[0]))
    parts = weight.reshape(-1, size)
    order = np.argsort(np.argsort(-np.abs(parts), axis=1), axis=1)
    return np.where(order < count, parts, 0).reshape(weight.shape)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", NAMES)
def test_pattern_holds(problem, name, bits):
    weight, acts = problem
    codes, scale = prune_matrix(weight, acts.T @ acts, Pattern(name), bits)
    assert codes.dtype == np.int8 and scale.dtype == np.float32 and (scale > 0).all()
    assert abs(codes).max() <= (1 << bits - 1) - 1
    count = (
        (codes.reshape(ROWS, -1, 4) != 0).sum(-1)
        if name == "2:4"
        else (codes.reshape(ROWS, -1, BLOCK) != 0).sum(-1)
    )
    if name == "mixed":
        most = count.reshape(ROWS // BLOCK, BLOCK, -1).max(1)
        assert len(np.unique(most)) > 1  # blocks do differ
        assert 0.2 < (codes != 0).mean() < 0.5
    else:
        assert count.max() == int(name.split(":")[0])
        assert (codes != 0).mean() > 0.9 * count.max() / (4 if name == "2:4" else BLOCK)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_better_than_by_magnitude(problem, name):
    weight, acts = problem
    codes, scale = prune_matrix(weight, acts.T @ acts, Pattern(name), 8)
    assert loss(weight, codes * scale[:, None], acts) < 0.9 * loss(
        weight, by_magnitude(weight, name), acts
    )


def test_mixed_keeps_what_matters(problem):
    """A block that no activation reaches is left out, one of large weights stays whole."""
    weight, acts = (x.copy() for x in problem)
    acts[:, :BLOCK] = 0
    weight[:BLOCK, BLOCK : 2 * BLOCK] *= 20
    codes, _ = prune_matrix(weight, acts.T @ acts, Pattern("mixed", 0.3), 8)
    assert not codes[:, :BLOCK].any()
    assert (codes[:BLOCK, BLOCK : 2 * BLOCK] != 0).mean() > 0.9


@pytest.mark.seconds(1)
def test_density_is_aimed_at(problem):
    weight, acts = problem
    kept = [
        (prune_matrix(weight, acts.T @ acts, Pattern("mixed", density), 8)[0] != 0).mean()
        for density in (0.15, 0.3, 0.6)
    ]
    assert kept == pytest.approx([0.15, 0.3, 0.6], rel=0.25) and kept == sorted(kept)


@pytest.mark.parametrize("bits, fmt", [(4, WeightFormat.SPARSE4), (8, WeightFormat.SPARSE8)])
def test_model_to_folder_and_back(tmp_path, bits, fmt):
    model = _model(tmp_path)
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, model.vocab, 48).tolist() for _ in range(3)]
    seen = []
    pruned = prune(model, texts, Pattern("2:4"), bits, lambda *done: seen.append(done))
    assert seen == [(n + 1, len(model.layers)) for n in range(len(model.layers))]
    _save(pruned, tmp_path / "pruned")
    back = hf_model.read(tmp_path / "pruned")
    for before, ours, theirs in zip(model.layers, pruned.layers, back.layers):
        for name, linear in ours.linears.items():
            read = theirs.linears[name]
            assert linear.format == read.format == fmt
            assert 0 < (linear.codes != 0).mean() <= 0.5
            np.testing.assert_array_equal(linear.codes, read.codes)
            np.testing.assert_array_equal(linear.float32(), read.float32())
            assert linear.codes.shape == before.linears[name].codes.shape
        np.testing.assert_array_equal(ours.vectors["attn_norm"], theirs.vectors["attn_norm"])
    assert (back.vocab, back.context, back.eos, back.bos) == (
        model.vocab,
        model.context,
        model.eos,
        model.bos,
    )
    # Rows of the embedding have one scale each in such a folder.
    np.testing.assert_allclose(
        back.embedding.float32(),
        model.embedding.float32(),
        rtol=0,
        atol=np.abs(model.embedding.float32()).max() / 100,
    )
    # It is still a model of this text, which knows no more about it than before.
    assert all(np.isfinite(logits).all() for logits in Float32(back)(texts))


def _save(model, folder):
    native.save(model, folder, Tokenizer.from_json(model.tokenizer).inner.to_str())


def _model(tmp_path):
    from mapper.read import gguf_model

    return gguf_model.read(
        synthetic.write(tmp_path / "tiny.gguf", kinds={"token_embd.weight": synthetic.Type.Q8_0})
    )


def test_later_layers_see_what_the_first_became(tmp_path):
    """States go through the pruned layers: the second layer's result depends on the first's."""
    model = _model(tmp_path)
    texts = [list(range(40))]
    pruned = prune(model, texts, Pattern("4:16"), 8)
    run, (embedding, angles, layer, *_) = Float32(model), model.graph.nodes
    scopes = [{TOKENS: ids} for ids in texts]
    for values in scopes:
        list(run.run((embedding, angles), [values], run.tensors(None), values.__setitem__))
        values["layer"] = values["embedding"]
    states = run.run(layer.body, scopes, run.tensors(0))
    unpruned = [{**values, "layer": x} for values, x in zip(scopes, states)]
    other, _ = prune_layer(run, layer.body, model.layers[1], unpruned, Pattern("4:16"), 8)
    assert any(
        (other.linears[n].codes != pruned.layers[1].linears[n].codes).any() for n in other.linears
    )


@pytest.mark.parametrize(
    "make, text",
    [
        (
            lambda m: Pattern("3:4"),
            "pattern must be one of 2:16, 4:16, 8:16, 2:4, mixed, not '3:4'",
        ),
        (lambda m: Pattern("mixed", 0), "density must be above 0 and at most 1, not 0"),
        (
            lambda m: prune(m, [[1, 2]], Pattern("2:4"), 5),
            "a sparse matrix's codes must have 4 or 8 bits, not 5",
        ),
    ],
)
def test_wrong(tmp_path, make, text):
    with pytest.raises(UserError) as error:
        make(_model(tmp_path))
    assert str(error.value) == text


def test_a_folder_is_never_overwritten(tmp_path):
    (tmp_path / "there").mkdir()
    model = _model(tmp_path)
    with pytest.raises(UserError, match="exists already; give a new folder"):
        _save(prune(model, [[1, 2, 3]], Pattern("2:4")), tmp_path / "there")


def test_nothing_is_left_of_what_cannot_be_written(tmp_path):
    model = _model(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        _save(prune(model, [[1, 2, 3]], Pattern("2:4")), tmp_path / "file" / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "tiny.gguf"]


def test_a_value_from_outside(monkeypatch):
    """A product of what the body does not make, the layer's own input, has a Hessian too."""
    monkeypatch.setitem(FAMILIES, "bare", replace(FAMILIES["llama"], graph=without_norm))
    model, texts = replace(toy_model(), family="bare"), [[1, 2, 3], [4, 5]]
    seen = {}

    def watch(weight, hessian, pattern, bits):
        seen.setdefault(weight.shape, []).append(hessian)
        return np.zeros(weight.shape, np.int8), np.ones(len(weight), np.float32)

    monkeypatch.setattr(module, "prune_matrix", watch)
    prune(model, texts, Pattern("2:4"))
    states = [model.embedding.float32()[ids] for ids in texts]
    expected = sum(x.T @ x for x in states)
    np.testing.assert_array_equal(seen[model.layers[0].linears["q"].codes.shape][0], expected)
