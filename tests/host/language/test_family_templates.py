"""What the families' chat templates do is done as `transformers` does it."""

import pytest
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from host.errors import UserError
from host.language.templates import Templates
from host.language.tokenizer import Tokenizer

from . import families


pytestmark = pytest.mark.seconds(1)  # with transformers, which `make check` leaves out


NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

# Each has what its family's template has besides others: how a system prompt is put, or refused;
# roles that must take turns; parts of a content; thoughts that are cut; dates; tools.
TEMPLATES = {
    "llama2": (
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}{% else %}"
        "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
        "{% for message in loop_messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must take turns') }}{% endif %}"
        "{% if loop.index0 == 0 and system_message != false %}"
        "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + "
        "message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + "
        "' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + "
        "eos_token }}{% endif %}{% endfor %}"
    ),
    "llama3": (
        "{{- bos_token }}\n{%- if not date_string is defined %}\n"
        "{%- set date_string = strftime_now('%d %b %Y') %}\n{%- endif %}\n"
        "{%- if not tools is defined %}\n{%- set tools = none %}\n{%- endif %}\n"
        "{%- if messages[0]['role'] == 'system' %}\n"
        "{%- set system_message = messages[0]['content'] | trim %}\n"
        "{%- set messages = messages[1:] %}\n{%- else %}\n{%- set system_message = '' %}\n"
        "{%- endif %}\n{{- '<|start|>system\\n\\nToday: ' + date_string + '\\n\\n' }}\n"
        "{{- system_message }}\n{%- if tools is not none %}\n"
        "{%- for t in tools %}\n{{- t | tojson(indent=4) }}\n{%- endfor %}\n{%- endif %}\n"
        "{%- for message in messages %}\n"
        "{%- if not (message.role == 'ipython' or 'tool_calls' in message) %}\n"
        "{{- '<|start|>' + message['role'] + '\\n\\n' + message['content'] | trim + '<|im_end|>' }}"
        "\n{%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
        "{{- '<|start|>assistant\\n\\n' }}\n{%- endif %}\n"
    ),
    "gemma": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else "
        "message['role'] %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + "
        "'<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
    ),
    "gemma3": (
        "{{ bos_token }}\n{%- if messages[0]['role'] == 'system' -%}\n"
        "    {%- if messages[0]['content'] is string -%}\n"
        "        {%- set first = messages[0]['content'] + '\n\n' -%}\n"
        "    {%- else -%}\n"
        "        {%- set first = messages[0]['content'][0]['text'] + '\n\n' -%}\n"
        "    {%- endif -%}\n    {%- set loop_messages = messages[1:] -%}\n{%- else -%}\n"
        "    {%- set first = '' -%}\n    {%- set loop_messages = messages -%}\n{%- endif -%}\n"
        "{%- for message in loop_messages -%}\n"
        "    {{ '<start_of_turn>' + message['role'] + '\n' + (first if loop.first else '') }}\n"
        "    {%- if message['content'] is string -%}\n        {{ message['content'] | trim }}\n"
        "    {%- elif message['content'] is iterable -%}\n"
        "        {%- for item in message['content'] -%}\n"
        "            {%- if item['type'] == 'image' -%}\n{{ '<image>' }}\n"
        "            {%- elif item['type'] == 'text' -%}\n{{ item['text'] | trim }}\n"
        "            {%- endif -%}\n        {%- endfor -%}\n    {%- else -%}\n"
        "        {{ raise_exception('Invalid content type') }}\n    {%- endif -%}\n"
        "    {{ '<end_of_turn>\n' }}\n{%- endfor -%}\n"
    ),
    "qwen3": (
        "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n"
        "{%- for message in messages[::-1] %}\n"
        "    {%- set index = (messages|length - 1) - loop.index0 %}\n"
        "    {%- if ns.multi_step_tool and message.role == 'user' and message.content is string "
        "and not (message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}"
        "\n"
        "        {%- set ns.multi_step_tool = false %}\n"
        "        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n"
        "{%- for message in messages %}\n"
        "    {%- set content = message.content if message.content is string else '' %}\n"
        "    {%- if message.role == 'assistant' and '</think>' in content %}\n"
        "        {%- set thought = content.split('</think>')[0].rstrip('\\n')"
        ".split('<think>')[-1].lstrip('\\n') %}\n"
        "        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n"
        "        {%- if loop.index0 > ns.last_query_index %}\n{{- thought }}\n{%- endif %}\n"
        "    {%- endif %}\n"
        "    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n"
        "{%- endfor %}\n{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
        "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}"
    ),
    "smollm3": (
        "{%- macro put(role, text) -%}<|im_start|>{{ role }}\n{{ text }}<|im_end|>\n"
        "{%- endmacro -%}\n"
        "{%- set mode = namespace(value='/think') -%}\n"
        "{%- for message in messages if message.role != 'tool' -%}\n"
        "{%- if message.role == 'system' and '/no_think' in message.content -%}\n"
        "{%- set mode.value = '/no_think' -%}{%- continue -%}\n{%- endif -%}\n"
        "{%- if message.role == 'assistant' -%}{%- generation -%}\n"
        "{{ put('assistant', message.content) }}{%- endgeneration -%}\n"
        "{%- else -%}{{ put(message.role, message.content) }}{%- endif -%}\n"
        "{%- if loop.index > 8 -%}{%- break -%}{%- endif -%}\n{%- endfor -%}\n{{ mode.value }}"
    ),
    "phi4-mini": (
        "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and "
        "message['tools'] is not none %}{{ '<|system|>' + message['content'] + '<|tool|>' + "
        "message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + "
        "message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "mistral": (
        "{{- bos_token }}\n{%- for message in messages %}\n"
        "{%- if message['role'] not in ['user', 'assistant', 'system'] %}\n"
        "{{- raise_exception('Only user, assistant and system roles are known, not ' + "
        "message['role'] + '!') }}\n{%- endif %}\n"
        "{%- if message.role == 'user' %}\n"
        "{{- '[INST]' + (message.content | map(attribute='text') | join('\\n') if "
        "message.content is not string else message.content) + '[/INST]' }}\n"
        "{%- elif message.role == 'system' %}\n{{- '[SYSTEM]' ~ message.content ~ '[/SYSTEM]' }}\n"
        "{%- else %}\n{{- message.content + eos_token }}\n{%- endif %}\n{%- endfor %}\n"
        "{{- {'b': 1, 'a': ['\u00e9', none, true]} | tojson }}"
    ),
}


def said(*contents, first=None):
    """A conversation in turns."""
    roles = ("user", "assistant") * len(contents)
    system = [] if first is None else [{"role": "system", "content": first}]
    return [*system, *({"role": r, "content": c} for r, c in zip(roles, contents))]


PARTS = [{"type": "text", "text": " one"}, {"type": "image"}, {"type": "text", "text": "two "}]
CONVERSATIONS = {
    "a question": said("What is it? <é>"),
    "a system prompt": said("Hi", first="Be brief. "),
    "no thoughts": said("Hi", first="/no_think"),
    "turns": said(" a ", "<think>\nso\n</think>\n\nb", "c\n", "d", "e"),
    "an answer": said("a", "<think>\nso\n</think>\n\nb"),
    "parts": said(PARTS),
    "parts of a system prompt": said("a", first=[{"type": "text", "text": "short"}]),
    "two questions": [*said("a"), *said("b")],
    "a tool": [*said("a", "b"), {"role": "tool", "content": "<tool>1</tool>"}],
    "many": said(*map(str, range(20))),
    "nothing": [],
}


@pytest.fixture(scope="module")
def templates():
    out = Templates()
    yield out
    out.close()


def theirs(template, **values):
    """Text of a template by `transformers`; None where it fails."""
    try:
        found, _ = render_jinja_template([values.pop("messages")], chat_template=template, **values)
    except (TemplateError, TypeError):
        return None
    return found[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_as_transformers(templates, name):
    """The same text, or a line that says why not."""
    failed, texts = [], set()
    for what, messages in CONVERSATIONS.items():
        for answer in (False, True):
            values = dict(messages=messages, add_generation_prompt=answer, **NAMES)
            expected = theirs(TEMPLATES[name], **values)
            texts.add(expected)
            if expected is not None:
                got = templates.render(TEMPLATES[name], tools=None, documents=None, **values)
                assert got == expected, what
                continue
            failed.append(what)
            with pytest.raises(UserError) as info:
                templates.render(TEMPLATES[name], tools=None, documents=None, **values)
            message = str(info.value)
            assert message.startswith("chat: the model file's chat template fails: ")
            assert len(message.splitlines()) == 1
    assert len(texts) > 6  # conversations, and whether an answer follows, are told apart
    assert ("a system prompt" in failed) == (name == "gemma")
    assert ("two questions" in failed) == (name == "llama2")
    assert ("a tool" in failed) == (name in ("llama2", "mistral"))


def test_refusals_say_why(templates):
    for name, conversation, why in (
        ("gemma", "a system prompt", "System role not supported"),
        ("llama2", "two questions", "Roles must take turns"),
        ("mistral", "a tool", "Only user, assistant and system roles are known, not tool!"),
    ):
        with pytest.raises(UserError, match=f"template fails: {why}$"):
            templates.render(TEMPLATES[name], messages=CONVERSATIONS[conversation], **NAMES)


@pytest.mark.parametrize("name", ["llama2", "llama3", "gemma", "gemma3", "mistral"])
def test_bos_is_not_there_twice(name):
    """A template that writes BOS, and a tokenizer that adds it."""
    small = families.small("llama2")
    bos = small.token_to_id("<s>")
    begins = Tokenizer(small, bos=bos, chat_template=TEMPLATES[name], names=NAMES)
    ids = begins.encode(begins.chat(said("a")), end=False)
    assert ids[0] == bos and ids.count(bos) == 1
    bare = Tokenizer(small, chat_template=TEMPLATES[name], names=NAMES)
    assert bare.encode(bare.chat(said("a"))) == ids
