"""Reading recipes must stay quick: no torch, and nothing of the terminal."""

import subprocess
import sys

import pytest


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["torch", "numpy", "typer", "rich", "tqdm"])
def test_heavy_modules_stay_out(module: str) -> None:
    assert module not in _loaded_by(
        "import mnfn_cli.recipe as r; [r.load_recipe(entry.name) for entry in r.list_recipes()]"
    )


def test_the_check_can_fail() -> None:
    assert "numpy" in _loaded_by("import numpy")
