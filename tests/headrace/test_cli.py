import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import headrace.devices
from headrace.cli import main
from host.configurations import named
from rtl.spec import config as configs
from tests.mapper import synthetic

from ..host import fake
from ..mapper.read.test_gguf_model import KINDS
from .command import call, error


ROOT = Path(__file__).parent.parent.parent


def test_run_json(model, capsys):
    code, out, err = call(
        capsys,
        "run",
        "--model",
        model,
        "--prompt",
        "hello world",
        "--tokens",
        4,
        "--device",
        "model",
        "--greedy",
        "--json",
    )
    result = json.loads(out)
    assert code == 0 and err == ""
    ids = result["prompt_ids"]
    assert len(ids) == 2
    for token in result["token_ids"]:
        assert token == fake.answer(ids)
        ids.append(token)
    assert len(result["token_ids"]) == len(result["token_seconds"]) == 4
    assert result["cycles"] == [1000] * 4  # both tokens of the prompt went in one step
    assert [len(x) for x in result["top_ids"]] == [len(x) for x in result["top_logits"]] == [64] * 4
    assert isinstance(result["text"], str) and result["seconds"] >= 0
    assert result["utilization"] == pytest.approx(0.9)
    assert result["cycles_per_token"] == 1000 and result["stopped"] == "tokens"


def test_run_text(model, capsys):
    code, out, err = call(capsys, "run", "--model", model, "--prompt", "hello", "--tokens", 3)
    assert code == 0 and out.startswith("hello") and "1,000 cycles/token; " in err
    assert "tokens/s at 300 MHz (wide)" in err


def test_seed(model, capsys):
    def text(*args):
        return call(capsys, "run", "--model", model, "--tokens", 8, "--temperature", 3, *args)[1]

    assert text("--seed", 1) == text("--seed", 1) != text("--seed", 2)


def test_compile_then_run(model, capsys, tmp_path):
    image = tmp_path / "out" / "tiny.safetensors"
    code, out, _ = call(
        capsys, "compile", "--model", model, "-o", image, "--config", "small", "--context", 64
    )
    assert code == 0 and image.exists() and "cycles for a token at position 0" in out
    assert json.loads(call(capsys, "compile", "--model", model, "-o", image, "--json")[1])
    code, out, _ = call(capsys, "run", "--model", image, "--tokens", 1, "--json", "--prompt", "hi")
    assert code == 0 and json.loads(out)["config"] == "wide"
    assert "context must be left out" in error(capsys, "run", "--model", image, "--context", 9)
    assert "this is an image already" in error(capsys, "compile", "--model", image, "-o", image)


def test_compile_says_what_it_rounds(capsys, tmp_path):
    kinds = {"token_embd.weight": synthetic.Type.Q8_0, "blk.0.ffn_down.weight": synthetic.Type.F16}
    path, image = synthetic.write(tmp_path / "m.gguf", kinds=kinds), tmp_path / "m.safetensors"
    out = call(capsys, "compile", "--model", path, "-o", image)[1]
    lines = [line for line in out.splitlines() if "rounded" in line]
    # The other layer's stays as it is.
    assert len(lines) == 1 and lines[0].startswith("1 tensor of F16 rounded to S8, by at most 0.")
    assert lines[0].endswith(" %: the machine has no codes for F16")


def test_names_with_brackets(model, capsys, tmp_path):
    """They are no markup, and :bug: is no picture."""
    image = tmp_path / "[/a] [red]:bug:.safetensors"
    code, out, _ = call(capsys, "compile", "--model", model, "-o", image)
    assert code == 0 and out.splitlines()[0].endswith(f"for configuration wide: {image}")


def test_images_are_kept(model, capsys, tmp_path):
    run = "run", "--model", model, "--tokens", 1, "--prompt", "hi", "--context", 64
    call(capsys, *run)
    kept = list((tmp_path / "cache").iterdir())
    stamp = kept[0].stat().st_mtime_ns
    call(capsys, *run)
    assert [p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()] == [stamp]
    kept[0].write_bytes(b"damaged")  # is compiled again
    assert call(capsys, *run)[0] == 0
    call(capsys, *run[:-1], 32)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize(
    "args, message",
    [
        (["--prompt", ""], "--prompt: must be a text, it is empty"),
        (
            ["--prompt", "x" * 300],
            "prompt: its 300 tokens must fit in the context of 256 positions; "
            "shorten it, or compile with a larger --context",
        ),
        (["--tokens", "0"], "--tokens must be at least 1, not 0"),
        (
            ["--tokens", "many"],
            "argument --tokens: invalid int value: 'many'; see headrace run --help",
        ),
        (["--context", "0"], "context must be at least 1, not 0"),
        (["--context", "-3"], "context must be at least 1, not -3"),
        (
            ["--context", "257"],
            "context must be from 1 to 256, the positions that the model was trained for, not 257",
        ),
        (["--model", ""], "--model must be a model, it is empty"),
        (
            ["--device", "tpu"],
            "--device must be one of model, sim, uart:PORT[:BAUD], such as uart:/dev/ttyUSB0, "
            "pynq:FILE.bit, xrt:FILE.xclbin; not 'tpu'",
        ),
        (["--temperature", "-1"], "temperature must be 0 or more, not -1.0"),
        (["--top-k", "65"], "top-k must be from 1 to 64, the logits that a device returns, not 65"),
        (["--chat"], "--chat: the model file has no chat template; use --raw"),
        (["--device", "model", "--timeline", "x"], "--timeline needs --device sim, not model"),
        (
            ["--config", "huge"],
            f"the configuration must be one of {', '.join(named())}, or a file *.toml; not 'huge'",
        ),
        (
            ["--set", "columns=99"],
            "--set columns=99: Configuration 'wide+columns=99': columns must be from 1 to 16, not "
            "99",
        ),
    ],
)
def test_run_refuses(model, capsys, args, message):
    assert error(capsys, "run", "--model", model, *args) == message


def test_no_such_model(capsys, tmp_path):
    assert error(capsys, "run", "--model", tmp_path / "none").startswith(
        f"{tmp_path}/none: no such model; give a GGUF file"
    )
    (tmp_path / "a.safetensors").write_bytes(b"no")
    assert "expected a program image" in error(capsys, "run", "--model", tmp_path / "a.safetensors")
    (tmp_path / "a.gguf").write_bytes(b"no")
    assert "a GGUF file must begin with" in error(capsys, "run", "--model", tmp_path / "a.gguf")


def test_failed_compile_leaves_nothing(model, capsys, tmp_path):
    data = model.read_bytes()
    model.write_bytes(data[:-100])
    target = tmp_path / "out" / "x.safetensors"
    assert "the file is damaged" in error(capsys, "compile", "--model", model, "-o", target)
    assert not target.parent.exists()
    model.write_bytes(data)
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in error(
        capsys, "compile", "--model", model, "-o", tmp_path / "file" / "x.safetensors"
    )


def test_interrupted(model, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fake.Device, "step", interrupted)
    code, out, err = call(capsys, "run", "--model", model, "--prompt", "hello")
    assert (code, out, err) == (130, "", "\nheadrace: interrupted\n")
    assert fake.Device.made[-1].closed


def test_eval_oracle(model, capsys, tmp_path):
    path = [5, 6, 7]
    right = [*path, fake.answer(path)]
    items = [
        {"prompt_ids": path, "f32_gen_ids": [right[3], fake.answer(right)]},
        {"prompt_ids": path, "f32_gen_ids": [right[3] ^ 1, 9]},
    ]
    oracle = tmp_path / "oracle.json"
    oracle.write_text(json.dumps({"items": items}))
    code, out, _ = call(
        capsys, "eval", "--model", model, "--oracle", oracle, "--json", "--device", "sim"
    )
    assert code == 0 and json.loads(out) == {"positions": 4, "top1_agreement": 0.5}
    for content in "[]", '{"items": []}', '{"items": [{"prompt_ids": [1], "f32_gen_ids": ["a"]}]}':
        oracle.write_text(content)
        assert "must be JSON with 'items'" in error(
            capsys, "eval", "--model", model, "--oracle", oracle
        )
    assert "must be given" in error(capsys, "eval", "--model", model)


@pytest.mark.seconds(1)
def test_eval_on_the_functional_model(model, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(headrace.devices.DEVICES, "model", "sim.functional:ModelDevice")
    said = json.loads(
        call(
            capsys,
            "run",
            "--model",
            model,
            "--device",
            "model",
            "--prompt",
            "hello world",
            "--raw",
            "--tokens",
            20,
            "--json",
        )[1]
    )
    items = [
        {"prompt_ids": said["prompt_ids"], "f32_gen_ids": said["token_ids"]},
        {"prompt_ids": said["prompt_ids"], "f32_gen_ids": [said["token_ids"][0] ^ 1]},
    ]
    oracle, text = tmp_path / "oracle.json", tmp_path / "text.txt"
    oracle.write_text(json.dumps({"items": items}))
    text.write_text("hello world, or so. " * 10)
    positions = len(said["token_ids"]) + 1
    code, out, _ = call(
        capsys,
        "eval",
        "--model",
        model,
        "--oracle",
        oracle,
        "--text",
        text,
        "--max-tokens",
        100,
        "--json",
    )
    result = json.loads(out)
    assert code == 0 and list(result) == [
        "positions",
        "top1_agreement",
        "kl",
        "perplexity",
        "reference_perplexity",
        "change_error",
        "tokens",
    ]
    assert (
        result["positions"] == positions and result["top1_agreement"] == (positions - 1) / positions
    )
    assert result["tokens"] == 99
    assert result["perplexity"] == pytest.approx(result["reference_perplexity"], rel=0.02)
    out = call(capsys, "eval", "--model", model, "--text", text, "--max-tokens", 100)[1]
    assert (
        f"perplexity {result['perplexity']:.3f}, in float32 {result['reference_perplexity']:.3f}"
        in out
    )
    assert f"standard error {100 * result['change_error']:.2f} %" in out
    text.write_text("h")
    assert "must have at least 2 tokens, not 1" in error(
        capsys, "eval", "--model", model, "--text", text
    )
    assert "--text needs --device model" in error(
        capsys, "eval", "--model", model, "--text", text, "--device", "sim"
    )


@pytest.mark.parametrize("device", ["model", "sim"])
def test_image_for_another_configuration(model, capsys, tmp_path, device):
    image = tmp_path / "small.safetensors"
    call(capsys, "compile", "--model", model, "-o", image, "--config", "small")
    small, wide = configs.get("small").digest, configs.get("wide").digest
    assert error(capsys, "run", "--model", image, "--config", "wide", "--device", device) == (
        f"{image}: the image was compiled for configuration 'small' with digest {small}, but "
        "'wide' has "
        f"{wide}; compile the model again for it"
    )
    assert not fake.Device.made


def test_other_architecture(capsys, tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", arch="llama5")
    assert error(capsys, "compile", "--model", path, "-o", tmp_path / "m.safetensors").startswith(
        f"{path}: the architecture must be {KINDS}, not 'llama5'"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["m.gguf"]


def test_other_type(capsys, tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.IQ2_XS, sizes=synthetic.WIDE)
    found = error(capsys, "compile", "--model", path, "-o", tmp_path / "m.safetensors")
    assert found.startswith(f"{path}: tensor 'token_embd.weight' must be of type F32, ")
    assert found.endswith("Q1_0, not IQ2_XS; convert the model to one of these")


def test_help(capsys):
    for command in (
        [],
        ["run"],
        ["chat"],
        ["compile"],
        ["eval"],
        ["compare"],
        ["verilog"],
        ["doctor"],
    ):
        with pytest.raises(SystemExit) as info:
            main([*command, "--help"])
        assert info.value.code == 0
    capsys.readouterr()
    assert error(capsys, "fly").endswith("see headrace --help")
    assert (
        error(capsys, "config", "--config", "wide")
        == "unrecognized arguments: --config; see headrace config --help"
    )
    assert "are required: COMMAND" in error(capsys)


def test_run_needs_no_torch():
    """Nor the mapper, nor a simulator, before it is asked for."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from headrace.cli import parser; parser();"
            "print(*(m for m in ('torch', 'mapper', 'sim', 'cocotb') if m in sys.modules))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"


def test_closed_pipe():
    """`headrace run | head -1` ends without a traceback."""
    code = (
        "import headrace.commands.run as run; from headrace.cli import main; "
        "run.run = lambda args: print('line\\n' * 100_000); main(['run'])"
    )
    command = f'{sys.executable} -c "{code}" | head -1'
    done = subprocess.run(
        command,
        cwd=ROOT,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.stderr == "" and done.stdout == "line\n"
