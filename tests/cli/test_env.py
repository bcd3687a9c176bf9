"""``mnfn env`` tells what a report of a fault needs, and nothing about the user."""

import getpass
import json
import platform
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import torch
from typer.testing import CliRunner

import mnfn_cli
from mnfn_cli.cli.app import app


def test_versions_devices_and_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = json.loads(CliRunner().invoke(app, ["env", "--json"]).stdout)
    assert found["mnfn"] == mnfn_cli.__version__ and found["python"] == platform.python_version()
    assert found["libraries"]["torch"] == version("torch") and all(found["libraries"].values())
    requirements = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(found["libraries"]) == {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
    assert set(found["optional"]) == {"tensorboard"}
    assert found["devices"][0] == "cpu" and len(found["devices"]) >= 1 + torch.cuda.device_count()
    assert found["threads"] == torch.get_num_threads() and found["variables"]["OMP_NUM_THREADS"] == "3"


def test_a_line_for_each_fact_without_the_user(monkeypatch):
    monkeypatch.setattr("mnfn_cli.cli.env.LIBRARIES", ("torch", "no-such-library"))
    text = CliRunner().invoke(app, ["env"]).stdout
    assert text.startswith(f"mnfn: {mnfn_cli.__version__}\npython: ") and "no-such-library missing" in text
    assert str(Path.home()) not in text and str(Path.cwd()) not in text and f" {getpass.getuser()} " not in text
