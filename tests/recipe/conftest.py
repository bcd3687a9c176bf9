"""A recipe to break, and a way to see what is said about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe import load_recipe

GOOD = """\
version: 1
task: generalization
data: {zoo: [zoos/digits-relu]}
model: {name: monomial, channels: [16, 16, 5], head: [200, 200], canonicalize: false}
augment: {scale: [1, 1e4]}
optimizer: {name: adam, lr: 1e-3, warmup_steps: 0}
training: {epochs: 50, batch_size: 8, seed: 0, precision: fp32}
"""


@pytest.fixture
def document() -> dict[str, Any]:
    """A small valid recipe as a document."""
    return {
        "version": 1,
        "task": "generalization",
        "model": {"name": "monomial", "channels": [4], "head": [8, 8]},
        "optimizer": {"name": "adam", "lr": 0.01},
        "training": {"steps": 3, "batch_size": 2},
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write ``recipe.yaml`` and return its path."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def faults(write: Callable[[str | bytes], Path]) -> Callable[..., list[str]]:
    """Load a recipe file that must be refused; return its faults, each with the file's folder left out."""

    def faults_of(content: str | bytes, *overrides: str) -> list[str]:
        path = write(content)
        with pytest.raises(RecipeError) as caught:
            load_recipe(str(path), overrides)
        assert all("\n" not in fault for fault in caught.value.faults)
        return [fault.replace(f"{path.parent}/", "") for fault in caught.value.faults]

    return faults_of


@pytest.fixture
def good() -> str:
    """The text of a valid recipe that uses every section."""
    return GOOD
