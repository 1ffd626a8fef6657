"""Chat templates know what those of transformers do, and cannot hang, crash or fill the memory."""

import gc
import json
import os
import re
import time
from datetime import datetime

import pytest

from host.errors import UserError
from host.language.templates import PLAIN, PLAIN_END, Templates


@pytest.fixture(scope="module")
def templates():
    out = Templates()
    yield out
    out.close()


@pytest.mark.parametrize(
    "template, text",
    [
        ("{{ {'b': 1, 'a': 'é<'} | tojson }}", '{"b": 1, "a": "é<"}'),
        ("{{ {'b': 1, 'a': [2]} | tojson(indent=2) }}", json.dumps({"b": 1, "a": [2]}, indent=2)),
        ("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}", '{"a":2,"b":1}'),
        (
            "{% for n in range(9) %}{% if n == 2 %}{% continue %}{% endif %}{% if n == 4 %}{% "
            "break %}{% endif %}"
            "{{ n }}{% endfor %}",
            "013",
        ),
        (
            "{% for n in [1, 2] %}{% generation %}<{{ n }}>{% endgeneration %}{% endfor %}.",
            "<1><2>.",
        ),
        ("{% set x = 1 %}{% generation %}{% set x = 2 %}{% endgeneration %}{{ x }}", "1"),
        ("a\n  {% if true %}\nb\n  {% endif %}\n", "a\nb\n"),  # trim_blocks, lstrip_blocks
        ("{{ tools is none }} {{ missing is defined }}", "True False"),
        ("{{ text }}", "é🦆\udcff"),  # a lone surrogate comes back as it went
    ],
)
def test_as_transformers(templates, template, text):
    assert templates.render(template, tools=None, text="é🦆\udcff") == text


def test_time(templates):
    assert templates.render("{{ strftime_now('%Y') }}") == str(datetime.now().year)


@pytest.mark.seconds(2)
@pytest.mark.parametrize(
    "template, message",
    [
        ("{{ raise_exception('one\nline') }}", "one line"),
        (
            "{% for i in range(10**9) %}x{% endfor %}",
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE",
        ),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "it takes more than 2 seconds",
        ),
        ("{{ 'x' * 10**10 }}", "it takes more than 512 MiB of memory"),
        ("{{ '%9999999999d' % 1 }}", "it takes more than 512 MiB of memory"),
        (
            "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% "
            "endfor %}",
            "it takes more than 512 MiB of memory",
        ),
        (
            "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
            "its text is longer than 8,388,608 characters",
        ),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "it is nested too deeply"),
        ("{% if 1 %}" * 5000 + "{% endif %}" * 5000, "it is nested too deeply"),
        ("{{ raise_exception('\x1b[31mred') }}", "?[31mred"),  # no commands to the terminal
        ("{% include 'x' %}", "no loader for this environment specified"),
        ("{{ messages.append(1) }}", "'messages' is undefined"),
        ("{{ raise_exception('x' * 1000) }}", "x" * 300),
    ],
)
def test_limits(templates, template, message):
    start = time.monotonic()
    with pytest.raises(UserError) as info:
        templates.render(template)
    said = str(info.value).removeprefix("chat: the model file's chat template fails: ")
    assert said.startswith(message) and "\n" not in said and len(said) <= 300
    assert time.monotonic() - start < 20
    assert templates.render("{{ 1 + 1 }}") == "2"  # the next one is none the worse


def test_process_that_dies(templates):
    templates.render("x")
    os.kill(templates._process.pid, 9)
    with pytest.raises(UserError, match="fails: its process ended with exit code -9$"):
        templates.render("x")
    assert templates.render("x") == "x"


def test_one_process_is_kept_and_soon_gone():
    templates = Templates()
    templates.render("x")
    pid = templates._process.pid
    templates.render("y")
    assert templates._process.pid == pid
    start = time.monotonic()
    for _ in range(20):
        templates.render("{{ a }}", a="x" * 10_000)
    assert (time.monotonic() - start) / 20 < 0.2
    del templates
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_interrupted(templates, monkeypatch):
    """What comes of a request that was given up is not taken for the next one's."""
    templates.render("x")

    def interrupted(*args):
        raise KeyboardInterrupt

    process = templates._process
    monkeypatch.setattr(templates, "_ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        templates.render("x")
    monkeypatch.undo()
    assert templates.render("y") == "y" and templates._process is not process


def test_plain(templates):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": " Hi."},
        {"role": "user", "content": "Who?"},
    ]
    text = "Be brief.\n\nUser: Hello\nAssistant: Hi.\nUser: Who?\n"
    assert templates.render(PLAIN, messages=messages, add_generation_prompt=False) == text
    assert (
        templates.render(PLAIN, messages=messages, add_generation_prompt=True)
        == text + "Assistant:"
    )
    assert re.search(f"Hi.{PLAIN_END} Who", text)
