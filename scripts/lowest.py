"""Run the quick tests with the lowest version of every dependency that pyproject.toml allows. `make lowest` runs this.

The environment lies in .cache/lowest and is kept until a lower bound or the Python changes. Old libraries may warn that
they use what new ones deprecate, which is no fault of mnfn; all else that the tests hold is held here too.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".cache" / "lowest"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "hatchling", "editables")
FOLDERS = ("recipe", "weightspace", "nn", "models", "storage", "zoo", "cli", "report", "tasks", "training")
TESTS = [f"tests/{name}" for name in FOLDERS]
LEFT_OUT = "not slow and not docs and not crash and not fuzz and not gpu"
WARNINGS = ("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


def lowest(requirements: list[str]) -> list[str]:
    """Return ``name==version`` for each ``name>=version``.

    >>> lowest(["torch>=2.13", "pydantic>=2.5,!=2.12.0"])
    ['torch==2.13', 'pydantic==2.5']
    """
    found = [re.match(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in requirements]
    return [f"{match[1]}=={match[2]}" for match in found if match]


def environment(pins: list[str]) -> Path:
    """Return the Python of an environment with exactly these versions, made if it is not there."""
    key = hashlib.sha256("\n".join([sys.version, *pins]).encode()).hexdigest()
    python, mark = FOLDER / "bin" / "python", FOLDER / "made-for"
    if not (mark.exists() and mark.read_text() == key):
        venv.create(FOLDER, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        subprocess.run([*pip, *pins, *TOOLS], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
        mark.write_text(key)
    return python


def main(more: list[str]) -> int:
    """Run the tests with these further arguments of pytest; return its exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = lowest(project["dependencies"] + project["optional-dependencies"]["tensorboard"])
    print("  ".join(pins), flush=True)
    python = environment(pins)
    warnings = [part for warning in WARNINGS for part in ("-W", warning)]
    command = [str(python), "-m", "pytest", *TESTS, "-m", LEFT_OUT, *warnings, *more]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
