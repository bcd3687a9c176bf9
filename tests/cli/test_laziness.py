"""Help, recipes and a look at a zoo start fast: they import no torch. And this check can fail."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "polars", "pydantic", "rich", "tqdm", "matplotlib", "scipy", "sklearn", "numpy")
SCRIPT = """
import sys
sys.argv = ["mnfn", *{arguments!r}]
from mnfn_cli.cli.app import main
try:
    main()
except SystemExit as outcome:
    assert outcome.code == 0, outcome.code
{more}
print("loaded:", *[name for name in {heavy!r} if name in sys.modules])
"""


def loaded_by(arguments, more=""):
    script = SCRIPT.format(arguments=arguments, more=more, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("loaded:", 1)[1].split())


def test_help_imports_nothing_heavy():
    assert loaded_by(["--help"]) == {"rich"}
    assert loaded_by(["--version"]) == set()


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["recipe", "list"], {"pydantic", "rich"}),
        (["recipe", "list", "--json"], {"pydantic"}),
        (["recipe", "validate", "generalization/relu-monomial"], {"pydantic"}),
    ],
)
def test_recipes_import_no_torch(arguments, loaded):
    assert loaded_by(arguments) == loaded


@pytest.mark.parametrize("command", ["info", "verify"])
def test_looking_at_a_zoo_imports_neither_torch_nor_numpy(digits_zoo, command):
    assert not {"torch", "numpy"} & loaded_by(["zoo", command, str(digits_zoo.path)])


def test_this_test_can_fail():
    assert "torch" in loaded_by(["--help"], more="import mnfn_cli; mnfn_cli.MonomialElement")
