"""``python -m headrace``: the `headrace` command."""

import sys

from .cli import main


sys.exit(main())
