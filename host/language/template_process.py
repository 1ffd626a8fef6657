"""The process that renders chat templates, which come from files that nobody vouches for.

It knows what templates are written for: the environment of Hugging Face's `transformers`
(`utils/chat_template_utils.py`). Each line of stdin is a request, each line of stdout its reply, in
JSON. A request that takes too long is the end of the process, by SIGALRM.
:mod:`host.language.templates` starts it by its path: nothing of this project may be imported here.
"""

import json
import resource
import signal
import sys
from datetime import datetime

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


SECONDS = 2.0  # that rendering may take
MEMORY = 512 << 20  # bytes of address space
CHARACTERS = 8 << 20  # of text: no context has room for more
MESSAGE = 300  # characters of what is said of a failure


class Generation(jinja2.ext.Extension):
    """``{% generation %}``, which marks what the model says: the body, as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    """Jinja's own filter sorts keys, and escapes what HTML would not bear."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise jinja2.TemplateError(message)


def strftime_now(form):
    return datetime.now().strftime(form)


def environment():
    """A Jinja environment as templates expect it."""
    out = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    out.filters["tojson"] = tojson
    out.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return out


def render(template, values):
    """Text of a template, refused when it becomes too long."""
    pieces, length = [], 0
    for piece in environment().from_string(template).generate(**values):
        pieces.append(piece)
        length += len(piece)
        if length > CHARACTERS:
            raise ValueError(f"its text is longer than {CHARACTERS:,} characters")
    return "".join(pieces)


def reply(request):
    """What comes of a request: ``{"text": ...}`` or ``{"error": ...}``."""
    try:
        return {"text": render(**request)}
    except MemoryError:
        return {"error": f"it takes more than {MEMORY >> 20} MiB of memory"}
    except RecursionError:
        return {"error": "it is nested too deeply"}
    except Exception as error:  # a template is a program: it may fail in any way
        said = " ".join(str(error).split())[:MESSAGE] or type(error).__name__
        return {"error": "".join(c if c.isprintable() else "?" for c in said)}


def main():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        answer = json.dumps(reply(request))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
