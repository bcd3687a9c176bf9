"""What the README shows works as typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(start, end):
    text = README.split(f"<!-- {start}: a test runs these lines as they are -->")[1].split(f"<!-- end of {end} -->")[0]
    return text.strip().split("\n", 1)[1].rsplit("```", 1)[0]


def test_the_tour(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block("tour", "tour")],
        cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "100 networks" in done.stdout and "U[1, 10000], permuted" in done.stdout
    assert (tmp_path / "runs" / "relu-robustness" / "robustness.png").stat().st_size > 10_000
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 21


def test_the_python_lines():
    done = subprocess.run([sys.executable, "-c", block("python", "python")], capture_output=True, text=True, check=True)
    difference, low, high = map(float, re.findall(r"tensor\(([^,)]+)", done.stdout))
    assert difference < 1e-6 and abs(low - 1) < 1e-6 and abs(high - 1) < 1e-6


def test_linked_files_exist():
    for link in ("docs/symmetries.md", "docs/formats.md", "docs/errors.md", "docs/results.md"):
        assert f"({link})" in README and (Path(__file__).parents[1] / link).exists()
