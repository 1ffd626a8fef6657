"""Chat templates, rendered within limits: a process of its own may hang or run out of memory."""

import json
import signal
import subprocess
import sys
import weakref
from typing import Any

from ..errors import UserError
from . import template_process


__all__ = ["QUESTION", "ANSWER", "PLAIN", "PLAIN_END", "Templates"]


# The form of a conversation with a model that has none of its own: what stands before a question
# and before an answer; the template; and where an answer ends.
QUESTION, ANSWER = "User:", "Assistant:"
PLAIN = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    f"{{% elif message.role == 'user' %}}{QUESTION} {{{{ message.content }}}}\n"
    f"{{% else %}}{ANSWER}{{{{ message.content }}}}\n{{% endif %}}"
    f"{{% endfor %}}{{% if add_generation_prompt %}}{ANSWER}{{% endif %}}"
)
PLAIN_END = f"\n{QUESTION}"


def stop(process):
    """End a process, and wait until it is gone."""
    process.kill()
    process.communicate()


class Templates:
    """Renders templates in one process, which is started when first needed and kept.

    Limits of time, memory and length are those of :mod:`host.language.template_process`.
    """

    def __init__(self):
        self._process: Any = None
        self._stop: Any = None

    def render(self, template, **values):
        """Text of a template.

        Raises :exc:`~host.errors.UserError` when it fails or goes beyond a limit.
        """
        if self._process is None:
            self._start()
        try:
            said = self._ask(json.dumps({"template": template, "values": values}))
        except BaseException:  # Ctrl-C, too: its reply must not be taken for the next one's
            self.close()
            raise
        if "text" in said:
            return said["text"]
        self.close()  # whatever the template did to its process
        raise UserError(f"chat: the model file's chat template fails: {said['error']}")

    def _start(self):
        # Not of this terminal's group: Ctrl-C is this process's to handle. -P: next to the file lie
        # modules that are named like Python's own.
        self._process = subprocess.Popen(
            [sys.executable, "-P", template_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
            start_new_session=True,
        )
        self._stop = weakref.finalize(self, stop, self._process)

    def _ask(self, request):
        process = self._process
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line.endswith("\n"):
            return json.loads(line)
        code = process.wait()
        if code == -signal.SIGALRM:
            return {"error": f"it takes more than {template_process.SECONDS:g} seconds"}
        return {"error": f"its process ended with exit code {code}"}

    def close(self):
        """End the process; the next template starts another."""
        if self._process is not None:
            self._stop()
            self._process = self._stop = None
