"""A conversation: its history stays in the KV cache. `commands/chat.py` shows it to the user."""

from host.errors import UserError
from host.language.text_stream import TextStream


__all__ = ["Chat"]


class Before:
    """Passes text on up to where `end` begins, and holds back what may be its beginning."""

    def __init__(self, end):
        self.end, self.held, self.found = end, "", False

    def add(self, text):
        """Take some text, return what is certainly before the end."""
        self.held += text
        if self.end is None:
            return self.finish()
        before, end, _ = self.held.partition(self.end)
        if end:
            self.found, self.held = True, ""
            return before
        kept = next(n for n in reversed(range(len(self.end))) if self.held.endswith(self.end[:n]))
        at = len(self.held) - kept
        text, self.held = self.held[:at], self.held[at:]
        return text

    def finish(self):
        """Return what was held back: no more comes."""
        text, self.held = self.held, ""
        return text


class Chat:
    """A conversation with a model.

    Parameters
    ----------
    session : :class:`host.language.generate.Session`
    tokenizer : :class:`host.language.tokenizer.Tokenizer`
    system : :class:`str` or None
        Instructions that come before the conversation.
    end : :class:`str` or None
        Text that ends an answer, besides the model's own tokens, and is no part of it.

    Attributes
    ----------
    messages : list of :class:`dict`
        The conversation as the chat template sees it.
    forgotten : :class:`int`
        Messages that were dropped from the beginning since the context was full.
    """

    def __init__(self, session, tokenizer, system=None, end=None):
        self.session, self.tokenizer, self.system, self.end = session, tokenizer, system, end
        self.reset()

    def reset(self):
        """Forget the conversation."""
        self.messages = [] if self.system is None else [{"role": "system", "content": self.system}]
        self.ids, self.text, self.forgotten = [], "", 0

    def prompt(self, reserve):
        """Tokens up to where the answer begins, with room for `reserve` more in the context."""
        text = self.tokenizer.chat(self.messages)
        # What was said keeps its tokens: the tokenizer might cut the same text in another way.
        if self.ids and text.startswith(self.text):
            said = text[len(self.text) :]
            ids = [*self.ids, *self.tokenizer.continuation(said, self.ids)]
        else:
            ids = self.tokenizer.encode(text, end=False)
        start = 0 if self.system is None else 1
        while len(ids) + reserve > self.session.context and len(self.messages) > start + 2:
            del self.messages[start : start + 2]  # the oldest question and its answer
            self.forgotten += 2
            text = self.tokenizer.chat(self.messages)
            ids = self.tokenizer.encode(text, end=False)
        self.ids, self.text = ids, text
        return list(ids)

    def answer(self, question, tokens, sampler=None, progress=lambda done, total: None):
        """Yield (:class:`host.language.generate.Token`, text) of the answer to a question.

        An answer that is not taken to its end, or that fails, is remembered as far as it came.
        """
        if not question:
            raise UserError("prompt: it must have at least one token, it is empty")
        before = list(self.messages), list(self.ids), self.text
        self.messages.append({"role": "user", "content": question})
        try:
            prompt = self.prompt(min(tokens, self.session.context // 4))
            self.session.check(prompt)
        except BaseException:  # Ctrl-C, too
            self.messages, self.ids, self.text = before
            raise
        stream, before_end, said = TextStream(self.tokenizer), Before(self.end), []
        try:
            for token in self.session.generate(prompt, tokens, sampler, progress):
                self.ids.append(token.id)
                said.append(token.id)
                text = before_end.add(stream.add(token.id))
                if self.session.stopped and not before_end.found:
                    text += before_end.add(stream.finish()) + before_end.finish()
                yield token, text
                if before_end.found:
                    break
        finally:
            text = self.tokenizer.decode(said)
            content = text if self.end is None else text.partition(self.end)[0]
            self.messages.append({"role": "assistant", "content": content})
            self.text += self.tokenizer.decode(said, special=True)
