"""Recorded coverage: docs/coverage.json."""

import json
import subprocess

from host.files import replacing

from ..tools import ROOT


__all__ = ["RECORD", "commit", "load", "save", "updated"]


RECORD = ROOT / "docs" / "coverage.json"


def commit():
    """The commit that is measured, with a + where the tree is not as it says."""

    def git(*args):
        return subprocess.run(
            ["git", *args], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain"))


def load(path=RECORD):
    """What was recorded: a mapping from "rtl", "programs" and "python", where they were
    measured.
    """
    return json.loads(path.read_text()) if path.exists() else {}


def updated(recorded, components, commit):
    """A record with entries of some components alone, which say of which commit they are."""
    rtl = recorded.get("rtl", {"commit": commit, "components": {}})
    new = {file: {**entry, "commit": commit} for file, entry in components.items()}
    return {**recorded, "rtl": {**rtl, "components": {**rtl["components"], **new}}}


def save(recorded, path=RECORD):
    """Record what was measured."""
    with replacing(path) as part:
        part.write_text(json.dumps(recorded, indent=1) + "\n")
