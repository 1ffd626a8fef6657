"""Strings in twenty scripts, the same ones every time: words, whitespace, emoji, code, special
tokens."""

import random
import unicodedata


__all__ = ["SCRIPTS", "SPECIAL", "strings"]


# First and last code points of letters and marks.
SCRIPTS = {
    "Latin": ((0x61, 0x7A), (0x41, 0x5A), (0x61, 0x7A)),
    "Latin with accents": ((0xC0, 0x17F), (0x1EA0, 0x1EF9), (0x61, 0x7A)),
    "Greek": ((0x391, 0x3A9), (0x3B1, 0x3CE)),
    "Cyrillic": ((0x410, 0x44F),),
    "Armenian": ((0x531, 0x556), (0x561, 0x587)),
    "Georgian": ((0x10D0, 0x10F0),),
    "Hebrew": ((0x5D0, 0x5EA), (0x5B0, 0x5BC)),
    "Arabic": ((0x620, 0x64A), (0x64B, 0x652)),
    "Devanagari": ((0x904, 0x939), (0x93E, 0x94D)),
    "Bengali": ((0x985, 0x9A8), (0x9BE, 0x9C4)),
    "Tamil": ((0xB85, 0xB8A), (0xBAE, 0xBB9), (0xBBE, 0xBC2)),
    "Telugu": ((0xC05, 0xC0C), (0xC15, 0xC28), (0xC3E, 0xC44)),
    "Thai": ((0xE01, 0xE3A), (0xE40, 0xE4E)),
    "Khmer": ((0x1780, 0x17B3), (0x17B6, 0x17D1)),
    "Burmese": ((0x1000, 0x102A), (0x102B, 0x1032)),
    "Amharic": ((0x1200, 0x1248),),
    "Hangul": ((0xAC00, 0xACFF), (0xB098, 0xB0F0)),
    "Kana": ((0x3041, 0x3096), (0x30A1, 0x30FA)),
    "Han": ((0x4E00, 0x4F7F), (0x6C34, 0x6C80)),
    "Deseret": ((0x10400, 0x1044F),),
}

# Names that families have for special tokens.
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>")

SPACES = (" ", "  ", "   ", " " * 7, " " * 40, "\n", "\n\n", "\n\n\n", "\t", "\t\t", " \n", "\n  ")
SPACES += ("\r\n", " \t ", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2581", "\v", "\x85")
EMOJI = ("🦆", "👩‍👩‍👧", "👍🏽", "🇨🇭", "❤️", "☃", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "😀😀")
OTHER = ("\ufffd", "\x00", "\x7f", "\ufeff", "½", "²", "Ⅷ", "１２", "٣٤", "𝟘", "€", "№", "…", "—")
MARKS = (*".,;:!?'\"()[]{}<>/\\|-_=+*&^%$#@~`", "...", "!!", "?!", "->", "::", "«", "»", "。", "、")
CONTRACTIONS = ("I'm", "we'LL", "don't", "it's", "they'Ve", "O'Neil", "'re", "’s", "'d'D")
NUMBERS = ("0", "7", "42", "365", "1905", "31415", "1000000", "3.14", "1,000,000", "2026-11-30")
CODE = (
    "def f(x, *args):\n    return x ** 2  # square\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n",
    "SELECT * FROM t WHERE id='1';",
    "https://example.org/a?b=c&d=%20#top",
    "HTTPServerError camelCaseName snake_case_name CONST_2",
    "\\frac{a}{b} \\int_0^1 x\\,dx",
    '{"key": [1, 2.5, null], "t": true}',
    "<div class=\"x\">&nbsp;</div>",
)
SYMBOLS = (EMOJI, OTHER, MARKS, CONTRACTIONS, NUMBERS, CODE)


def letters(spans):
    """Characters of a script that are assigned."""
    return [
        chr(n)
        for first, last in spans
        for n in range(first, last + 1)
        if unicodedata.category(chr(n)) != "Cn"
    ]


def lexicon(draw):
    """Words of each script, of letters at random."""
    words = {}
    for script, spans in SCRIPTS.items():
        of = letters(spans)
        words[script] = ["".join(draw.choices(of, k=draw.randint(1, 7))) for _ in range(50)]
    words["Latin"] += [word.upper() for word in words["Latin"][:9]]
    words["Latin"] += [word.title() for word in words["Latin"][9:25]]
    return words


def string(draw, words, special):
    """A string: most of it words of a script."""
    script, pieces = draw.choice(list(words)), []
    for _ in range(draw.randint(1, 12)):
        chance = draw.random()
        if chance < 0.7:
            its = words[script if draw.random() < 0.9 else draw.choice(list(words))]
            word = its[min(int(draw.expovariate(0.1)), len(its) - 1)]  # the first are frequent
            pieces.append(unicodedata.normalize("NFD", word) if draw.random() < 0.05 else word)
        elif chance < 0.93:
            pieces.append(draw.choice(draw.choice(SYMBOLS)))
        else:
            pieces.append(draw.choice(special) if special else "")
        if draw.random() < 0.8:
            pieces.append(" " if draw.random() < 0.7 else draw.choice(SPACES))
    if draw.random() < 0.1:
        pieces.insert(0, draw.choice(SPACES))
    return "".join(pieces)


def strings(count=2000, special=SPECIAL, seed=17):
    """`count` strings; `special` are names of tokens that some have."""
    draw = random.Random(seed)
    words = lexicon(draw)
    return [*SPACES, *CODE, "", *(string(draw, words, special) for _ in range(count))][:count]
