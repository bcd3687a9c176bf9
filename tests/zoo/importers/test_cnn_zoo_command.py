"""The Small CNN Zoo on the command line: its options reach the importer, and several activations are one zoo."""

import json
import sys
from pathlib import Path

import pytest

from mnfn_cli.cli.app import main
from mnfn_cli.zoo.importers.small_cnn_zoo import plan_small_cnn_zoo
from mnfn_cli.zoo.store import open_zoo


@pytest.fixture
def mnfn(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        captured = capsys.readouterr()
        assert done.value.code == code, captured.err
        return captured.out if code == 0 else captured.err

    return run


def test_options_reach_the_importer(cnn_zoo, mnfn):
    options = ["--protocol", "scalegmn", "--where", "config.activation=tanh", "--step", "80", "--stray-row", "keep"]
    said = json.loads(mnfn("zoo", "import", "small-cnn-zoo", cnn_zoo, *options, "-o", "z", "--json"))
    plan = plan_small_cnn_zoo(
        cnn_zoo, protocol="scalegmn", where={"config.activation": "tanh"}, step=80, stray_row="keep"
    )
    assert said["networks"] == plan.table.height and open_zoo(Path("z")).ids == plan.table["id"].to_list()
    assert "no fault found" in mnfn("zoo", "verify", "z")


def test_all_activations_are_weight_spaces_of_one_zoo(cnn_zoo, mnfn):
    said = mnfn("zoo", "import", "small-cnn-zoo", cnn_zoo, "--protocol", "nfn", "-o", "z")
    assert "2 weight spaces" in said and "relu" in said and "tanh" in said
    mnfn("zoo", "import", "small-cnn-zoo", cnn_zoo, "--protocol", "nfn", "--dry-run")
    assert [path.name for path in Path().iterdir() if not path.name.startswith(".")] == ["z"]


def test_what_is_wrong_is_named(cnn_zoo, mnfn):
    arguments = ["zoo", "import", "small-cnn-zoo", cnn_zoo, "-o", "z"]
    assert "--where: 'relu' is no condition" in mnfn(*arguments, "--protocol", "nfn", "--where", "relu", code=2)
    assert "no network has step 85" in mnfn(*arguments, "--protocol", "nfn", "--step", "85", code=3)
