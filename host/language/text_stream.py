"""Text of tokens that come one by one."""

__all__ = ["TextStream"]


CONTEXT = 16  # tokens of what came before that are looked at


class TextStream:
    """Text of tokens that come one by one. A character is held until all its bytes are there.

    Parameters
    ----------
    tokenizer : :class:`host.language.tokenizer.Tokenizer`
    before : sequence of :class:`int`
        Tokens that the text goes on from. Without, and behind a special token, it begins:
        SentencePiece's space in front of a text's first word is none of the text.
    """

    def __init__(self, tokenizer, before=()):
        self.tokenizer = tokenizer
        # What is decoded next, whose first `shown` characters are out already. Spacing depends on
        # what came before, and so do bytes: they make characters only with all of these.
        before = list(before[-CONTEXT:]) if tokenizer.within(before) else []
        self.ids, self.shown = self.context(before)
        self.new = 0  # tokens that have given no text yet

    def context(self, ids):
        """As many of the last of `ids` as are whole characters, and their text."""
        texts = ((ids[at:], self.tokenizer.decode(ids[at:])) for at in range(len(ids)))
        return next((its for its in texts if "\ufffd" not in its[1]), ([], ""))

    def add(self, token):
        """Take a token, return the text that is complete with it."""
        self.ids.append(token)
        self.new += 1
        text = self.tokenizer.decode(self.ids)
        return "" if text.endswith("\ufffd") else self.advance(text)

    def finish(self):
        """Return the text that is left, with a mark for a character cut short."""
        return self.advance(self.tokenizer.decode(self.ids))

    def advance(self, text):
        said = text[len(self.shown) :]
        self.shown = text
        if said:  # tokens without text leave what came before them in sight
            del self.ids[: len(self.ids) - self.new]
            self.shown, self.new = self.tokenizer.decode(self.ids), 0
        return said
