"""What a release consists of agrees: version, changelog, citation, hooks, quoted code, and stated lower bounds."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import mnfn_cli
from mnfn_cli.version import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_one_version():
    assert mnfn_cli.__version__ == __version__ and re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert (ROOT / PROJECT["tool"]["hatch"]["version"]["path"]).samefile(Path(mnfn_cli.__file__).parent / "version.py")
    told = subprocess.run(
        [sys.executable, "-m", "hatchling", "metadata", "version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == __version__
    code = (
        "import sys, mnfn_cli; print(mnfn_cli.__version__, 'torch' in sys.modules, 'importlib.metadata' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [__version__, "False", "False"]
    stated = [path for path in (ROOT / "src").rglob("*.py") if f'"{__version__}"' in path.read_text()]
    assert [path.name for path in stated] == ["version.py"]


def test_the_version_heads_a_section_of_the_changelog():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == __version__


def test_the_hooks_are_those_of_make_lint():
    recipe = (ROOT / "Makefile").read_text().split("\nlint: install\n")[1].split("\n\n")[0]
    commands = [line.strip().removeprefix("@").replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local" and [hook["entry"] for hook in local["hooks"]] == commands
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in local["hooks"])


def test_quoted_code_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    quoted = re.findall(r"from `([\w/]+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert len(quoted) == text.count("```python") >= 3
    for file, code in quoted:
        assert code in (ROOT / "src" / "mnfn_cli" / file).read_text(), file


def test_targets_that_contributing_names_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word for line in re.findall(r"`make ([a-z ]+)", (ROOT / "CONTRIBUTING.md").read_text()) for word in line.split()
    }
    assert named <= targets and {"dist", "try", "lowest"} <= named


def test_the_citation():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and cited["title"] == "mnfn" and "license" not in cited
    paper = cited["preferred-citation"]
    assert "Monomial Matrix Group Equivariant" in paper["title"] and len(paper["authors"]) == 5


@pytest.mark.parametrize("requirement", PROJECT["project"]["dependencies"])
def test_every_dependency_has_a_lower_bound_below_the_pin(requirement):
    name, bound = re.match(r"([\w.-]+)>=([\d.]+)", requirement).groups()
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert [int(part) for part in bound.split(".")] <= [int(part) for part in pins[name].split(".")]


def test_no_license_is_chosen():
    assert "license" not in PROJECT["project"] and "urls" not in PROJECT["project"]
    assert "licence" in (ROOT / "README.md").read_text()
