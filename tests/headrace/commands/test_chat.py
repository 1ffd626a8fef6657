"""`headrace chat`, as it is typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.library.runner import tokenizer_of
from host.language.templates import PLAIN

from ...host import fake
from ...host.terminal import on_terminal
from ..command import call, error


ROOT = Path(__file__).parents[3]
NO_TEMPLATE = (
    "(the model file has no chat template: questions are put as `User: ...`, answers begin with "
    "`Assistant:`)\n"
)


@pytest.fixture
def template(monkeypatch):
    """Gives the model a chat template."""

    def tokenizer(image):
        out = tokenizer_of(image)
        out.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}:"
        return out

    monkeypatch.setattr("headrace.library.runner.tokenizer_of", tokenizer)


@pytest.fixture
def typed(monkeypatch):
    """Gives lines to stdin."""

    def lines(*lines):
        ours, theirs = os.pipe()
        with open(theirs, "wb") as file:
            file.writelines(line + b"\n" for line in lines)
        monkeypatch.setattr(sys, "stdin", open(ours))

    return lines


def asked(capsys, model, *args):
    return call(capsys, "chat", "--model", model, "--tokens", 3, "--greedy", *args)


def positions():
    """Where the steps of the last device began."""
    return [position for _, position, _ in fake.Device.made[-1].calls]


def test_chat(model, capsys, template, typed):
    typed(b"hello", b"", b"/reset", b"world", b"/exit", b"never")
    code, out, err = asked(capsys, model)
    assert code == 0 and err == "" and out.count("\n") >= 2
    assert positions().count(0) == 2


def test_an_answer_ends_with_the_context(model, capsys, template, typed):
    """Not without a word."""
    typed(b"hello")
    code, _, err = asked(capsys, model, "--context", 32, "--tokens", 100)
    assert code == 0 and err == "(the context is full: the answer ends here)\n"
    typed(b"hello")
    assert asked(capsys, model, "--context", 32, "--tokens", 2)[2] == ""


def test_without_a_template(model, capsys, typed):
    """The plain form is said once, and is what the model reads."""
    typed(b"hello", b"world")
    code, out, err = asked(capsys, model, "--system", "hello")
    assert code == 0 and err == NO_TEMPLATE and out.count("\n") >= 2
    device = fake.Device.made[-1]
    ids = [device.memory[n] for n in range(len(device.memory))]
    text = tokenizer_of(device.image).decode(ids)
    assert (
        text.startswith("hello\n\nUser: hello\nAssistant:") and "\nUser: world\nAssistant:" in text
    )


def test_commands(model, capsys, template, typed):
    typed(b"/help", b"/quit now", b"//quit", b"/")
    code, out, err = asked(capsys, model)
    *listed, quit, slash = err.splitlines()
    assert code == 0 and out.count("\n") == 1  # one question: /quit
    assert [line.split()[0] for line in listed] == ["/help", "/reset", "/exit", "//", "Ctrl-C"]
    assert quit == "/quit: no such command; /help lists them, // begins a question with a /"
    assert slash.startswith("/: no such command")
    device = fake.Device.made[-1]
    assert (
        tokenizer_of(device.image).decode(device.calls[0][0]) == "/quit"[: len(device.calls[0][0])]
    )


def test_bytes_that_are_no_text(model, capsys, template, typed):
    """The conversation goes on."""
    typed(b"w\xff", b"hello")
    code, out, err = asked(capsys, model)
    assert code == 0 and err == "headrace: prompt: must be UTF-8 text, not bytes that are none\n"
    assert out.count("\n") == 2 and positions()[0] == 0


def test_system_that_the_template_refuses(model, capsys, monkeypatch):
    """Before a device is made."""

    def tokenizer(image):
        out = tokenizer_of(image)
        out.chat_template = (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        )
        return out

    monkeypatch.setattr("headrace.library.runner.tokenizer_of", tokenizer)
    assert (
        error(capsys, "chat", "--model", model, "--system", "x")
        == "chat: the model file's chat template fails: no system"
    )
    assert not fake.Device.made


@pytest.mark.seconds(1)
def test_closed_stdin():
    done = subprocess.run(
        f"{sys.executable} -m headrace.cli chat --model tiny <&-",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", NO_TEMPLATE)


@pytest.mark.seconds(4)
def test_on_a_terminal():
    """A session with a model that comes with the project, as a user sees it."""
    seen = on_terminal(
        "-m",
        "headrace.cli",
        "chat",
        "--model",
        "tiny",
        "--tokens",
        "3",
        "--greedy",
        typed=b"/help\nWhat must we do?\n/exit\n",
        COLUMNS="200",
    )
    seen = seen.replace("\r\n", "\n")
    for part in (
        NO_TEMPLATE.strip(),
        "tiny on model. /help lists the commands",
        "/reset  forgets",
        "s/token",
    ):
        assert part in seen, seen


def test_plain_form_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        call(capsys, "chat", "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "questions are put as `User: ...`" in said and "User: " in PLAIN and "Assistant:" in PLAIN
    )
