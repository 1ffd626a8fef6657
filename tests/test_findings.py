"""Every finding of the attack has tests that exist, and a rule that exists where it names one."""

import ast
import tomllib

import pytest

from headrace.docs.generate import FINDINGS
from rtl.spec.rules import RULES
from sim.tools import ROOT


FOUND = tomllib.loads((ROOT / FINDINGS).read_text())
ALL = [pytest.param(f, id=f["found"][:40]) for kind in FOUND.values() for f in kind]


def functions(path):
    """Test functions of a file that assert something."""
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    }


def test_all_are_there():
    assert len(FOUND["defect"]) == 12 and len(FOUND["silent"]) == 8


@pytest.mark.parametrize("finding", ALL)
def test_has_tests(finding):
    assert set(finding) - {"rule"} == {"found", "now", "tests"} and finding["tests"]
    assert finding.get("rule", "opcode") in RULES
    for test in finding["tests"]:
        path, _, name = test.partition("::")
        found = functions(ROOT / path)
        assert name in found if name else found, f"{test} does not exist"
