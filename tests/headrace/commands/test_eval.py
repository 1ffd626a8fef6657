"""`headrace eval --ids`, and which node costs what."""

import json
import sys
from types import SimpleNamespace

import pytest

from headrace.commands.eval import show
from headrace.library.node_errors import ALL
from mapper.read.find import load
from sw_ref.pytorch.mixed import rounded_nodes
from tests.headrace.command import call, error


IDS = [int(n) for n in range(5, 300, 9)]


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids.json"
    path.write_text(json.dumps(IDS))
    return path


@pytest.mark.seconds(2)
def test_ids(capsys, ids):
    """The figures are those of the ids alone: no token is added."""
    code, out, _ = call(capsys, "eval", "--model", "tiny", "--ids", ids, "--json")
    found = json.loads(out)
    assert code == 0 and found["positions"] == len(IDS) and found["tokens"] == len(IDS) - 1
    assert 0.7 < found["top1_agreement"] <= 1 and 0 < found["kl"] < 0.01
    assert found["perplexity"] == pytest.approx(found["reference_perplexity"], rel=0.1)
    code, out, _ = call(capsys, "eval", "--model", "tiny", "--ids", ids)
    assert code == 0 and out.splitlines()[:2] == [
        f"best token as float32's in {100 * found['top1_agreement']:.1f} % of {len(IDS)} positions",
        f"divergence from float32 {found['kl']:.2e} nats",
    ]
    assert "windows" not in out


@pytest.mark.seconds(3)
def test_per_node(capsys, ids):
    ids.write_text(json.dumps(IDS[:10]))
    code, out, _ = call(capsys, "eval", "--model", "tiny", "--ids", ids, "--per-node", "--json")
    *each, together = json.loads(out)["per_node"]
    assert code == 0 and together["node"] == ALL
    assert sorted(row["node"] for row in each) == sorted(rounded_nodes(load("tiny").graph))
    assert [row["kl"] for row in each] == sorted((row["kl"] for row in each), reverse=True)
    by_name = {row["node"]: row for row in each}
    # Products round their inputs to int8, sums round as fp32 does.
    assert by_name["layer / ffn / down"]["rms"] > 1e-3 > by_name["layer / ffn / silu"]["rms"]
    assert together["rms"] > each[0]["rms"]
    assert together["kl"] == pytest.approx(json.loads(out)["kl"], rel=0.5)
    show(SimpleNamespace(oracle=None, text=None), json.loads(out))
    shown = capsys.readouterr().out.splitlines()
    assert shown[4].startswith(f" {each[0]['node']} ") and shown[-1].startswith(f" {ALL} ")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[1, 2", "must be a JSON list of token ids: Expecting ',' delimiter"),
        ('{"ids": [1]}', "must be a JSON list of token ids, not {'ids': [1]}"),
        ("[1, 2.0]", "ids must be integers, not 2.0"),
        ("[1, true]", "ids must be integers, not True"),
        ("[1, -1]", "ids must be from 0 to 1023, the vocabulary, not -1"),
        ("[1024, 1]", "ids must be from 0 to 1023, the vocabulary, not 1024"),
        ("[]", "ids must be 2 to 16, the context, not 0"),
        ("[1]", "ids must be 2 to 16, the context, not 1"),
        (json.dumps([1] * 17), "ids must be 2 to 16, the context, not 17"),
    ],
)
def test_ids_are_checked(capsys, ids, text, message):
    ids.write_text(text)
    found = error(capsys, "eval", "--model", "tiny", "--ids", ids, "--context", 16, "--json")
    assert found.startswith(f"{ids}: {message}")


@pytest.mark.parametrize(
    "args, message",
    [
        (["--text", "x"], "--ids must be given without --oracle and --text"),
        (["--oracle", "x"], "--ids must be given without --oracle and --text"),
        (["--device", "sim"], "--ids needs --device model, which has all logits, not sim"),
        (
            ["--model", "m.safetensors"],
            "m.safetensors: --ids needs the model itself for its reference, not an image",
        ),
    ],
)
def test_options_that_do_not_go_together(capsys, ids, args, message):
    assert error(capsys, "eval", "--model", "tiny", "--ids", ids, *args) == message


def test_per_node_needs_a_window(capsys):
    assert error(capsys, "eval", "--oracle", "x", "--per-node") == (
        "--per-node needs --text FILE or --ids FILE"
    )


def test_per_node_needs_pytorch(capsys, ids, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sw_ref.pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert error(capsys, "eval", "--model", "tiny", "--ids", ids, "--per-node") == (
        "--per-node needs PyTorch: pip install torch"
    )
