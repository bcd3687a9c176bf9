"""Zoos, and folders of networks, that are not what they should be."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from damage import (
    AUGMENT,
    PREDICT,
    PREDICT_ZOO,
    SHARD,
    TRAIN,
    case,
    cell,
    flip,
    in_json,
    in_table,
    in_tensors,
    instead,
    not_finite,
    nothing,
    write,
)

FILE = "files/00.safetensors"
FEW = "training.batch_size=1"


def tensors(**changed):
    def change(found, _):
        for name, tensor in changed.items():
            name = name.replace("_", ".")
            if tensor is None:
                del found[name]
            else:
                found[name] = tensor

    return in_tensors(FILE, change)


def splits(text):
    def change(lines):
        place = lines[0].index("split")
        for line in lines[1:]:
            line[place] = text

    return in_table(change)


def same_class(lines):
    place = lines[0].index("class")
    for line in lines[1:]:
        line[place] = "3"


def no_label(lines):
    place = lines[0].index("test_accuracy")
    for line in lines:
        del line[place]


def first_twice(lines):
    lines[2][0] = lines[1][0]


def only_header(lines):
    del lines[1:]


def linked(target):
    return instead(FILE, lambda path: path.symlink_to(target))


def imported(target):
    return instead("inr-files/one.safetensors", lambda path: path.symlink_to(target))


IMPORT = "zoo import folder inr-files --labels labels.csv --label digit -o o"


@pytest.mark.parametrize(
    "case",
    [
        case("Z1", "dense", nothing, "predict r inr", 3, "holds networks 2 ->", "the run reads 1 -> 16"),
        case("Z1", "a file", lambda: shutil.copy("inr-files/one.safetensors", FILE), PREDICT, 3, FILE),
        case("Z2", "one shape off", tensors(layers_2_weight=torch.zeros(16, 17, 3, 3)), PREDICT, 3, FILE, "shape"),
        case("Z3", "bias of another size", tensors(layers_2_bias=torch.zeros(15)), PREDICT, 3, FILE),
        case("Z4", "statistics", 
             in_tensors(FILE, lambda t, _: t.update({"layers.0.running_mean": torch.zeros(16),
                                                     "layers.0.running_var": torch.ones(16)})), PREDICT, 3, FILE),
        case("Z7", "an id twice", in_table(first_twice), "zoo info z", 3, "z/table.csv", "ids are not unique: 00",
             real=True),
        case("Z7", "two files", lambda: shutil.copy(FILE, "files/00.pt"), PREDICT, 3, "has the name of"),
        case("Z8", "no label", in_table(no_label), TRAIN, 3, "z/table.csv", "no column 'test_accuracy'"),
        case("Z8", "an empty label", cell("test_accuracy", ""), TRAIN, 3, "z/table.csv"),
        case("Z9", "label without network", write("labels.csv", "id,digit\none,1\ntwo,2\nthree,3\n"), IMPORT, 3,
             "labels.csv", "three"),
        case("Z9", "network without label", write("labels.csv", "id,digit\none,1\n"), IMPORT, 3, "two"),
        case("Z10", "all are named", not_finite(range(2, 5)), TRAIN, 3, "z:02", "layers.1.weight is not finite",
             faults=3),
        case("Z10", "more than 20", not_finite(range(20)), AUGMENT, 3, "z:00", "is not finite", faults=20),
        case("Z11", "empty", in_table(only_header), "zoo info z", 3, "z", "0 in the table", real=True),
        case("Z11", "empty folder", instead("files", lambda path: path.mkdir()), PREDICT, 3, "files", "holds no"),
        case("Z12 Z13", "empty split", splits("train"), TRAIN, 3, "z", "0 networks in split val"),
        case("Z14", "one class", in_table(same_class, "inr"),
             "train --recipe classification/digits-monomial --zoo inr -o o", 3, "inr/table.csv", "1 class"),
        case("Z16", "broken link", linked("nowhere"), PREDICT, 3, FILE, "No such file"),
        case("Z17", "link loop", linked("00.safetensors"), PREDICT, 3, FILE, real=True),
        case("Z18", "a link out", imported("../files/01.safetensors"), IMPORT, 3, "inr-files/one.safetensors",
             "link", faults=2),
        case("Z15", "a missing shard", lambda: Path(f"z/{SHARD}").unlink(), "zoo info z", 3, SHARD, "missing",
             real=True),
        case("Z20", "a changed shard", flip(f"z/{SHARD}", -5000), "zoo verify z", 3, SHARD, "checksum", real=True),
        case("Z20", "a shorter one", lambda: os.truncate(f"z/{SHARD}", 5000), "zoo info z", 3, SHARD, "bytes, expected",
             real=True),
    ],
)  # fmt: skip
def test_a_bad_zoo_is_named(refused, case):
    case.check(refused)


@pytest.mark.fault("Z15")
def test_a_file_that_may_not_be_read(refused, monkeypatch):
    real = os.open

    def refuse(path, *args, **options):
        if str(path).endswith("00.safetensors"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    refused(PREDICT, 3, FILE, "Permission denied")


@pytest.mark.fault("Z3")
def test_a_layer_without_bias_has_zeros(mnfn, world):
    in_tensors(FILE, lambda found, _: found["layers.0.bias"].zero_())()
    zero = mnfn(f"predict r {FILE}")
    in_tensors(FILE, lambda found, _: found.pop("layers.0.bias"))()
    assert zero[0] == 0 and mnfn(f"predict r {FILE}")[1] == zero[1]


@pytest.mark.fault("Z5")
def test_tensors_in_any_order(mnfn, world):
    in_order = mnfn(f"predict r {FILE}")

    def turn(found, _):
        turned = dict(reversed(found.items()))
        found.clear()
        found.update(turned)

    in_tensors(FILE, turn)()
    assert in_order[0] == 0 and mnfn(f"predict r {FILE}")[1] == in_order[1]


@pytest.mark.fault("Z6")
def test_net10_comes_after_net2(mnfn, world):
    for old, new in (("00", "net10"), ("01", "net2")):
        (world / f"files/{old}.safetensors").rename(world / f"files/{new}.safetensors")
    names = [line.split(",")[0] for line in mnfn(PREDICT)[1].splitlines()[1:]]
    assert names == ["net2", "net10"]


@pytest.mark.fault("Z10")
def test_bad_networks_are_left_out_and_listed(mnfn, world):
    not_finite([2, 7])()
    code, out, err = mnfn(f"{PREDICT_ZOO} --on-bad skip")
    names = [line.split(",")[0] for line in out.splitlines()[1:]]
    assert code == 0 and len(names) == 18 and not {"02", "07"} & set(names)
    assert all(f"skipped z:{name}: layers.1.weight is not finite" in err for name in ("02", "07"))
    assert mnfn(f"{TRAIN} --on-bad skip")[0] == 0
    assert all(f'"{name}"' in Path("o/run.json").read_text() for name in ("02", "07"))


@pytest.mark.fault("Z12")
def test_one_network_is_predicted(mnfn, world):
    code, out, _ = mnfn("predict r one.safetensors")
    assert code == 0 and len(out.splitlines()) == 2


@pytest.mark.fault("Z19")
def test_strays_are_passed_by(mnfn, world):
    before = mnfn(PREDICT), mnfn(PREDICT_ZOO)
    for folder in ("files", "z"):
        for name in (".tmp123", ".DS_Store", ".00.safetensors.99.mnfn-tmp", "notes.txt"):
            (world / folder / name).write_text("stray")
    assert (mnfn(PREDICT), mnfn(PREDICT_ZOO)) == before


@pytest.mark.fault("H8")
@pytest.mark.parametrize("key", ["format", "spec", "count", "images", "made", "files"])
def test_null_and_missing_keys_of_a_zoo(refused, key):
    in_json("z/zoo.json", lambda found: found.update({key: None}))()
    refused("zoo info z", 3, f"z/zoo.json:{key}")
    in_json("z/zoo.json", lambda found: found.pop(key))()
    if key not in ("images", "made"):  # which have defaults
        refused("zoo info z", 3, f"z/zoo.json:{key}: missing")
