"""Files of PyTorch and tables of others that are not what they should be, as a command meets them."""

import argparse
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from damage import case, cut, write
from torch import nn

from mnfn_cli.storage.tensors import read_tensors

FILE = "torch/net.pt"
COMMAND = f"predict r {FILE}"


class Code:
    """A pickle of this leaves a file behind when it is loaded freely."""

    def __reduce__(self):
        return (Path.touch, (Path("canary"),))


def state_dict():
    return read_tensors(Path("files/00.safetensors"))[0]


def saved(make, **options):
    def damage():
        Path("torch").mkdir()
        torch.save(make(), FILE, **options)

    return damage


def then(*steps):
    def damage():
        for step in steps:
            step()

    return damage


def bomb():
    Path("torch").mkdir()
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))


def pickled():
    write(FILE, pickle.dumps({"a": Code()}))()


REFUSED = "is not a state dict: found"


@pytest.mark.filterwarnings("ignore:.*(quantiz|TypedStorage|quantize_per_tensor).*")
@pytest.mark.parametrize(
    "case",
    [
        case("F1", "code", saved(lambda: {"a": Code()}), COMMAND, 3, FILE, "holds more than tensors", real=True),
        case("F1", "code, pickled", pickled, COMMAND, 3, FILE),
        case("F2", "module", saved(lambda: nn.Linear(2, 2)), COMMAND, 3, FILE, "save the state dict alone"),
        case("F3", "namespace", saved(lambda: argparse.Namespace(a=1)), COMMAND, 3, FILE, "holds more than tensors"),
        case("F4", "list", saved(lambda: [torch.zeros(2)]), COMMAND, 3, FILE, REFUSED, "list"),
        case("F5", "bare tensor", saved(lambda: torch.zeros(2)), COMMAND, 3, FILE, REFUSED, "a bare tensor"),
        case("F6", "integer keys", saved(lambda: {0: torch.zeros(2)}), COMMAND, 3, FILE, REFUSED, "no name, 0"),
        case("F7", "sparse", saved(lambda: {"a": torch.eye(2).to_sparse()}), COMMAND, 3, f"{FILE}:a", "sparse"),
        case("F10", "truncated", then(saved(state_dict), cut(FILE, -200)), COMMAND, 3, FILE, "damaged"),
        case("F12", "empty", write(FILE, b""), COMMAND, 3, FILE),
        case("F13", "bomb", bomb, COMMAND, 3, FILE, "is compressed, to 50000000 bytes"),
        case("F14", "stride 0", saved(lambda: {"a": torch.zeros(1).expand(10**6, 10**6)}), COMMAND, 3, f"{FILE}:a",
             "claims 1000000000000 numbers and stores 1"),
    ],
)  # fmt: skip
def test_what_is_no_state_dict(refused, case):
    (line,) = case.check(refused)
    assert "weights_only" not in line and "allow" not in line and not Path("canary").exists()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        pytest.param(state_dict, {}, id="plain"),
        pytest.param(lambda: {"state_dict": state_dict(), "epoch": 3}, {}, marks=pytest.mark.fault("F8"), id="nested"),
        pytest.param(lambda: {"model": state_dict()}, {}, marks=pytest.mark.fault("F8"), id="model"),
        pytest.param(lambda: {f"module.{name}": tensor for name, tensor in state_dict().items()}, {},
                     marks=pytest.mark.fault("F9"), id="module."),
        pytest.param(state_dict, {"_use_new_zipfile_serialization": False}, marks=pytest.mark.fault("F11"),
                     id="legacy"),
    ],
)  # fmt: skip
def test_one_documented_rule_finds_the_tensors(mnfn, world, make, options):
    saved(make, **options)()
    code, out, err = mnfn(COMMAND)
    alone = mnfn("predict r files/00.safetensors")[1]
    assert code == 0, err
    assert out.splitlines()[1].split(",")[1] == alone.splitlines()[1].split(",")[1]


LABELS = "zoo import folder inr-files --labels labels.csv --label digit -o o"


def labels(*values):
    return write(
        "labels.csv", "id,digit,loss\n" + "".join(f"{n},{v}\n" for n, v in zip(("one", "two"), values, strict=True))
    )


def renamed(old, new):
    return lambda: Path(old).rename(new)


@pytest.mark.parametrize(
    "case",
    [
        case("F27", "nan", labels("1,nan", "2,0.5"), LABELS, 3, "labels.csv", "loss", "nan"),
        case("F27", "1e400", labels("1,1e400", "2,0.5"), LABELS, 3, "labels.csv", "loss", "1e400"),
        case("F25", "ragged", labels("1,2,3", "2,0.5"), LABELS, 3, "labels.csv:row 2", "4 cells"),
        case("F26", "columns twice", write("labels.csv", "id,digit,digit\none,1,1\ntwo,2,2\n"), LABELS, 3, "digit"),
        case("F28", "001 and 1", renamed("inr-files/one.safetensors", "inr-files/1.safetensors"),
             LABELS, 3, "labels.csv:row 2:id: there is no network 'one'", faults=2),
    ],
)  # fmt: skip
def test_tables_of_labels(refused, case):
    case.check(refused)


@pytest.mark.fault("F28")
def test_001_is_not_1(mnfn, world):
    for old, new in (("one", "001"), ("two", "1")):
        (world / f"inr-files/{old}.safetensors").rename(world / f"inr-files/{new}.safetensors")
    write("labels.csv", "id,digit\n1,7\n001,8\n")()
    assert mnfn(LABELS)[0] == 0
    assert [line.split(",")[0] for line in Path("o/table.csv").read_text().splitlines()[1:]] == ["001", "1"]
    shutil.rmtree("o")
    Path("inr-files/001.safetensors").unlink()
    assert mnfn(LABELS)[0] == 3
