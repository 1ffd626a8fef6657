import pytest

from headrace.conversation import Before, Chat
from host.errors import UserError
from host.language.generate import Session
from host.language.templates import PLAIN
from host.language.tokenizer import Tokenizer
from mapper.read.gguf_model import read
from tests.host.language import families
from tests.mapper import synthetic

from ..host.fake import FakeDevice


TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\n' }}"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    model = read(synthetic.write(tmp_path_factory.mktemp("gguf") / "m.gguf"))
    return Tokenizer.from_json(model.tokenizer, eos=(2,), chat_template=TEMPLATE)


def conversation(tokenizer, context=256, system=None):
    session = Session(FakeDevice(), context=context, columns=4, vocab=288, eos=(2,))
    return Chat(session, tokenizer, system)


def fed(chat):
    return sum(len(ids) for ids, _, _ in chat.session.device.calls)


def test_only_what_is_new_is_read(tokenizer):
    chat = conversation(tokenizer)
    first = [t for t, _ in chat.answer("hello", 6)]
    before, ids = fed(chat), list(chat.ids)
    assert before == len(ids) - 1 and ids[-len(first) :] == [t.id for t in first]
    list(chat.answer("world", 6))
    assert chat.ids[: len(ids)] == ids
    assert fed(chat) - before == len(chat.ids) - len(ids)


def test_text_is_the_templates(tokenizer):
    chat = conversation(tokenizer, system="hello")
    pieces = [text for _, text in chat.answer("world", 5)]
    assert chat.messages[2]["content"] == "".join(pieces)
    assert tokenizer.decode(chat.ids, special=True) == chat.text
    assert chat.text.startswith("<|im_start|>system\nhello<|im_end|>\n<|im_start|>user\nworld")


def test_answer_that_is_not_taken_to_its_end(tokenizer):
    chat = conversation(tokenizer)
    answering = chat.answer("hello", 20)
    said = [next(answering)[0].id for _ in range(3)]
    answering.close()
    assert chat.ids[-3:] == said and chat.messages[-1]["role"] == "assistant"
    list(chat.answer("world", 2))


def test_old_messages_are_forgotten(tokenizer):
    chat = conversation(tokenizer, context=160, system="hello")
    for _ in range(8):
        list(chat.answer("hello world", 8))
        assert len(chat.ids) <= 161 and len(chat.session.ids) <= 160
        assert chat.messages[0]["role"] == "system"
    assert chat.forgotten and chat.forgotten % 2 == 0


@pytest.mark.parametrize("tokens", [1, 8, 40, 1000])
def test_room_for_the_answer(tokenizer, tokens):
    """Nothing is forgotten while there is room for the answer, or a quarter of the context is."""

    def second(context):
        chat = conversation(tokenizer, context=context)
        list(chat.answer("hello", 4))
        next(chat.answer("world", tokens))
        return chat

    length = len(second(1 << 12).session.device.memory)  # of the prompt
    exact = next(n for n in range(length, 1 << 12) if length + min(tokens, n // 4) <= n)
    assert second(exact).forgotten == 0
    assert second(exact - 1).forgotten == 2


def test_refused_question_leaves_no_trace(tokenizer):
    chat = conversation(tokenizer, context=100)
    list(chat.answer("hello", 4))
    before = list(chat.messages), list(chat.ids)
    with pytest.raises(UserError, match="must fit in the context of 100 positions"):
        list(chat.answer("x" * 200, 4))
    with pytest.raises(UserError, match="it is empty"):
        list(chat.answer("", 4))
    assert (chat.messages, chat.ids) == before


def test_reset(tokenizer):
    chat = conversation(tokenizer)
    first = [t.id for t, _ in chat.answer("hello", 4)]
    list(chat.answer("world", 4))
    chat.reset()
    assert [t.id for t, _ in chat.answer("hello", 4)] == first


@pytest.mark.parametrize(
    "pieces, shown",
    [
        (["Hi", ".\n", "User: no"], ["Hi", ".", ""]),
        (["a\nUs", "ual\nU"], ["a", "\nUsual"]),
        (["\n\nUser:"], ["\n"]),
        (["\nUser:\nUser:"], [""]),
    ],
)
def test_text_before_the_end(pieces, shown):
    before = Before("\nUser:")
    assert [before.add(piece) for piece in pieces] == shown
    text = "".join(pieces)
    assert before.found == ("\nUser:" in text)
    assert "".join(shown) + before.finish() == text.partition("\nUser:")[0]


def test_no_end():
    before = Before(None)
    assert before.add("\nUser:") == "\nUser:" and not before.found


def test_answer_ends_where_the_next_question_would_begin(tokenizer):
    chat = conversation(tokenizer)
    whole = "".join(text for _, text in chat.answer("hello", 12))
    end = whole[5:7]
    other = conversation(tokenizer)
    other.end = end
    said = "".join(text for _, text in other.answer("hello", 12))
    assert said == whole.partition(end)[0] == other.messages[-1]["content"]
    assert len(other.session.ids) < len(chat.session.ids)
    list(other.answer("world", 2))


def test_interrupted_before_the_answer(tokenizer, monkeypatch):
    """A question that was given up is not asked with the next one."""
    chat = conversation(tokenizer)
    list(chat.answer("hello", 4))
    before = list(chat.messages), list(chat.ids), chat.text

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenizer, "chat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(chat.answer("world", 4))
    assert (chat.messages, chat.ids, chat.text) == before


def test_words_go_on():
    """SentencePiece puts a space where a text begins: not behind an answer that was cut short."""
    inner = families.small("llama2")
    tokenizer = Tokenizer(inner, bos=inner.token_to_id("<s>"), chat_template=PLAIN)
    chat = conversation(tokenizer)
    chat.text, chat.messages = "User: a", [{"role": "user", "content": "abc"}]
    chat.ids = tokenizer.encode(chat.text)
    ids = chat.prompt(1)
    assert ids[: len(tokenizer.encode("User: a"))] == tokenizer.encode("User: a")
    assert tokenizer.decode(ids) == tokenizer.chat(chat.messages) == "User: abc\nAssistant:"
