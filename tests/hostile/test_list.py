"""docs/faults.md lists every case, and the tests that cover it."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "faults.md"
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+?) \| (\S+) \| (.+?) \|$", re.MULTILINE)


def marked():
    """The files, without ``tests/`` and ``.py``, whose tests are marked with a number, by number."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            words = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            numbers = words if name == "fault" else words[0].split() if name == "case" else []
            for number in numbers:
                found.setdefault(number, set()).add(path.relative_to(TESTS).with_suffix("").as_posix())
    return found


def listed():
    return {number: set(tests.replace("`", "").split(", ")) for number, _, _, _, tests in ROW.findall(PAGE.read_text())}


def test_every_case_has_tests_and_every_marked_test_a_case():
    assert len(listed()) > 130
    assert listed() == marked()


def test_numbers_are_in_order_and_there_once():
    numbers = re.findall(r"^\| ([A-Z]\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert len(set(numbers)) == len(numbers)
    for group in dict.fromkeys(number[0] for number in numbers):
        own = [int(number[1:]) for number in numbers if number[0] == group]
        assert own == list(range(1, len(own) + 1))


def test_a_quarter_of_the_cases_runs_in_a_process_of_its_own():
    calls = [
        node
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "case"
    ]
    real = [call for call in calls if any(word.arg == "real" for word in call.keywords)]
    assert 4 * len(real) >= len(calls), f"{len(real)} of {len(calls)}"
