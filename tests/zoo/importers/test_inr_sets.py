"""Published sets of INRs: every number of the files, the pictures of the modules, splits that share no picture."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from foreign_files import (
    DWS_KEYS,
    NFN_KEYS,
    grid,
    halved,
    hashes,
    siren_module,
    write_dws_fmnist,
    write_dws_mnist,
    write_nfn,
)

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.importers.dws_inr import plan_dws_inr
from mnfn_cli.zoo.importers.inr_facts import InrOptions
from mnfn_cli.zoo.importers.nfn_siren import plan_nfn_siren
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.verification import verify_zoo

INDICES = [7, 12, 44_999, 45_000, 49_999, 50_000, 69_999, 3]
SPLITS = ["train", "train", "train", "val", "val", "test", "test", "train"]
SMALL = InrOptions(size=(8, 8))


@pytest.fixture(scope="module")
def nfn(sirens, tmp_path_factory):
    root = tmp_path_factory.mktemp("nfn") / "siren_mnist_wts"
    write_nfn(root, sirens, INDICES, copies=2)
    return root


@pytest.fixture(scope="module")
def dws(sirens, tmp_path_factory):
    root = tmp_path_factory.mktemp("dws") / "dataset"
    root.mkdir()
    write_dws_mnist(root, sirens)
    return root


@pytest.fixture(scope="module")
def fmnist(sirens, tmp_path_factory):
    root = tmp_path_factory.mktemp("fmnist") / "fmnist_inrs"
    write_dws_fmnist(root, sirens)
    return root


def assert_equal_to_files(zoo, root, keys):
    """Read the files again, slowly, and compare every entry, without any tolerance."""
    for row, name in enumerate(zoo.table["file"]):
        state = torch.load(root / name, weights_only=True)
        for key, tensor in zip(keys, zoo.read([row]).tensors(), strict=True):
            assert tensor.dtype == torch.float32 and torch.equal(tensor[0, 0], state[key])


def assert_pictures(zoo, root, keys, offset):
    """What the zoo draws is what a plain torch module draws; rounded to 256 levels nothing differs."""
    drawn = render(zoo.spec, zoo.read(), (8, 8))
    low, high = zoo.record.fit["pixel_range"]
    for row, name in enumerate(zoo.table["file"]):
        state = torch.load(root / name, weights_only=True)
        module = siren_module([state[key] for key in keys], offset)
        picture = module(grid(8)).reshape(8, 8)
        assert (drawn[row, 0] - picture).abs().max() < 1e-5
        levels = [((x - low) / (high - low)).clamp(0, 1).mul(255).round() for x in (drawn[row, 0], picture)]
        exact = ((picture - low) / (high - low)).clamp(0, 1) * 255
        between_levels = (exact.frac() - 0.5).abs() < 255e-5  # where the last bit decides, which is torch's choice
        assert (levels[0] - levels[1])[~between_levels].abs().max() == 0


def test_nfn_without_copies(nfn, sirens, tmp_path):
    before = hashes(nfn)
    plan = plan_nfn_siren(nfn, inrs=SMALL)
    zoo = write_plan(plan, tmp_path / "zoo")
    assert hashes(nfn) == before and verify_zoo(zoo.path) == []
    expected = {
        f"net{index}": (str(index), split, sirens[number][1])
        for number, (index, split) in enumerate(zip(INDICES, SPLITS, strict=True))
    }
    rows = zip(*(zoo.table[name] for name in ("id", "image_id", "split", "class")), strict=True)
    assert {own: rest for own, *rest in rows} == {own: list(rest) for own, rest in expected.items()}
    assert zoo.ids == [f"net{index}" for index in sorted(INDICES)] and "source_id" not in zoo.table.columns
    assert zoo.spec.omega == 30 and zoo.spec.output_offset == 0
    assert zoo.record.fit == {"init": "random", "size": [8, 8], "pixel_range": [-1.0, 1.0]}
    assert plan.notes == ["16 augmented copies are left out; --augmented imports them"]
    assert_equal_to_files(zoo, nfn, NFN_KEYS)
    assert_pictures(zoo, nfn, NFN_KEYS, 0.0)


def test_nfn_with_copies_shares_splits_and_pictures(nfn, tmp_path):
    zoo = write_plan(plan_nfn_siren(nfn, augmented=True, inrs=SMALL), tmp_path / "zoo")
    assert len(zoo) == 24
    assert_equal_to_files(zoo, nfn, NFN_KEYS)
    facts = {row["id"]: row for row in zoo.table.iter_rows(named=True)}
    for own, row in facts.items():
        source = facts[own.partition("-")[0]]
        assert row["source_id"] == source["id"]
        assert [row[name] for name in ("split", "image_id", "class")] == [
            source[name] for name in ("split", "image_id", "class")
        ]
    splits = {}
    for row in facts.values():
        splits.setdefault(row["image_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_sizes_that_nobody_says_are_stated(nfn, tmp_path):
    plan = plan_nfn_siren(nfn)
    assert plan.made["size"] == [28, 28]
    assert "pictures are taken to be 28x28 pixels; say --size if they are not" in plan.notes


def test_dws_mnist(dws, sirens, tmp_path):
    before = hashes(dws)
    zoo = write_plan(plan_dws_inr(dws, inrs=SMALL), tmp_path / "zoo")
    assert hashes(dws) == before and verify_zoo(zoo.path) == [] and len(zoo) == 24
    for row in zoo.table.iter_rows(named=True):
        number = int(row["id"].partition("-")[2])
        part = "train" if number < 16 else "test"
        assert row["id"] == row["image_id"] == f"{part}-{number}" and row["class"] == sirens[number][1]
        assert row["split"] == ("test" if number >= 16 else "val" if number % 5 == 0 else "train")
    assert zoo.spec.output_offset == 0.5 and zoo.record.fit["pixel_range"] == [0.0, 1.0]
    assert_equal_to_files(zoo, dws, DWS_KEYS)
    assert_pictures(zoo, dws, DWS_KEYS, 0.5)
    inner = plan_dws_inr(dws / "mnist-inrs", split_file=dws / "mnist_splits.json", inrs=SMALL)
    assert inner.table.drop("file").equals(zoo.table.drop("file").cast(inner.table.drop("file").schema))


def test_dws_fmnist(fmnist, sirens, tmp_path):
    zoo = write_plan(plan_dws_inr(fmnist, inrs=SMALL), tmp_path / "zoo")
    assert len(zoo) == 24
    for row in zoo.table.iter_rows(named=True):
        number = int(row["id"].partition("-")[2])
        assert row["class"] == sirens[number][1]
        assert row["split"] == ("test" if number >= 16 else "val" if number == 3 else "train")
    assert_equal_to_files(zoo, fmnist, DWS_KEYS)
    assert_pictures(zoo, fmnist, DWS_KEYS, 0.5)


def test_dws_without_a_split_file(dws, tmp_path):
    shutil.copytree(dws / "mnist-inrs", tmp_path / "bare")
    plan = plan_dws_inr(tmp_path / "bare", seed=4)
    split = dict(zip(plan.table["id"], plan.table["split"], strict=True))
    assert all((name == "test") == own.startswith("test") for own, name in split.items())
    assert list(split.values()).count("val") == 1 and "seed 4" in plan.made["split_protocol"]
    assert plan_dws_inr(tmp_path / "bare", seed=4).table.equals(plan.table)


def test_swapped_coordinates_transpose_the_pictures(dws, tmp_path):
    zoos = [
        write_plan(plan_dws_inr(dws, inrs=InrOptions((8, 8), coordinates=order)), tmp_path / order)
        for order in ("yx", "xy")
    ]
    yx, xy = (render(zoo.spec, zoo.read(), (8, 8)) for zoo in zoos)
    assert (xy - yx.transpose(2, 3)).abs().max() < 1e-5 and zoos[1].record.made.to_json()["coordinates"] == "xy"


def nfn_copy(nfn, tmp_path):
    return shutil.copytree(nfn, tmp_path / "set")


def refuse(planner, problem, **options):
    with pytest.raises(DataError) as caught:
        planner(**options)
    assert problem in str(caught.value), str(caught.value)
    assert planner(**options, skip_bad=True).table.height > 0
    return caught.value


def test_strange_files_of_nfn(nfn, sirens, tmp_path):
    root = nfn_copy(nfn, tmp_path)
    label = sirens[0][1]
    other = (label + 1) % 10
    (root / f"randinit_smaller_{label}s" / "net7.pth").rename(root / f"randinit_smaller_{label}s" / "net007.pth")
    folder = root / f"randinit_smaller_{other}s"
    folder.mkdir(exist_ok=True)
    shutil.copy(root / f"randinit_smaller_{label}s" / "net007.pth", folder / "net7.pth")
    error = refuse(plan_nfn_siren, "is the same network as", path=root)
    assert len(error.faults) == 1
    (folder / "net7.pth").unlink()
    alone = root / f"randinit_smaller_aug0_{label}s"
    shutil.copy(alone / "net7.pth", alone / "net8.pth")
    refuse(plan_nfn_siren, "is a copy of network net8, which cannot be imported", path=root, augmented=True)
    (alone / "net8.pth").unlink()
    wrong = root / f"randinit_smaller_aug1_{other}s"
    wrong.mkdir(exist_ok=True)
    shutil.move(root / f"randinit_smaller_aug1_{label}s" / "net7.pth", wrong / "net7.pth")
    refuse(plan_nfn_siren, f"has class {other}, net7 has {label}", path=root, augmented=True)
    with pytest.raises(DataError, match="no such folder"):
        plan_nfn_siren(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no randinit_smaller_DIGITs/netNUMBER\.pth"):
        plan_nfn_siren(tmp_path / "empty")


def test_networks_that_are_no_inrs(nfn, sirens, tmp_path):
    root = nfn_copy(nfn, tmp_path)
    folder = root / f"randinit_smaller_{sirens[0][1]}s"
    first, *rest = sirens[0][0]
    torch.save(dict(zip(NFN_KEYS, [torch.cat([first, first[:, :1]], 1), *rest], strict=True)), folder / "net7.pth")
    refuse(plan_nfn_siren, "is a network 3 -> 10 -> 10 -> 1, sin (omega 30); an INR has 2 inputs", path=root)
    broken = dict(zip(NFN_KEYS, sirens[0][0], strict=True))
    broken["net.1.linear.bias"] = torch.full((10,), float("nan"))
    torch.save(broken, folder / "net7.pth")
    error = refuse(plan_nfn_siren, "net7.pth:net.1.linear.bias: is not finite", path=root)
    assert len(error.faults) == 1
    plan = plan_nfn_siren(root, skip_bad=True)
    assert "net7" not in plan.table["id"].to_list() and len(plan.skipped) == 1
    zoo = write_plan(plan, tmp_path / "zoo")
    assert zoo.record.made.to_json()["skipped"] == list(error.faults)


def change_splits(root, change):
    file = root / "mnist_splits.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: (d["val"]["path"].append(d["train"]["path"][0]), d["val"]["label"].append("0")),
         "is in train already"),
        (lambda d: (d["test"]["path"].pop(), d["test"]["label"].pop()), "is in no split of"),
        (lambda d: (d["test"]["path"].append("/a/mnist_png_testing_9_99/checkpoints/model_final.pth"),
                    d["test"]["label"].append("9")), "there is no network mnist_png_testing_9_99"),
        (lambda d: d["train"]["label"].__setitem__(0, "11"), "says 11"),
        (lambda d: (d["test"]["path"].append("../../../etc/passwd"), d["test"]["label"].append("9")), "is no path of"),
    ],
)  # fmt: skip
def test_split_files_that_contradict_the_networks(dws, tmp_path, change, problem):
    root = shutil.copytree(dws, tmp_path / "set")
    change_splits(root, change)
    refuse(plan_dws_inr, problem, path=root)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1, 2]", "is no object with the keys train, val, test"),
        ('{"train": {"path": ["a"], "label": []}, "train": []}', "'train' is there twice"),
        ('{"train": {"path": ["a"], "label": ["1", "2"]}}', "another number of labels"),
        ('{"train": {"path": ["a"], "label": ["one"]}}', "'one' is no class number"),
        ('{"train": {"label": []}}', "has no list of paths"),
        ("{", "is no readable JSON"),
        ("[" * 100_000, "is no readable JSON"),
    ],
)
def test_split_files_that_are_none(dws, tmp_path, text, problem):
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        plan_dws_inr(dws, split_file=tmp_path / "splits.json")


def test_labels_of_fmnist_are_in_its_files(fmnist, sirens, tmp_path):
    root = shutil.copytree(fmnist, tmp_path / "set")
    torch.save(dict(zip(DWS_KEYS, sirens[0][0], strict=True)), root / "train" / "model_0.pth")
    refuse(plan_dws_inr, "model_0.pth:label: there is no class number", path=root)
    both = shutil.copytree(fmnist, tmp_path / "both" / "fmnist_inrs")
    write_dws_mnist(both.parent, sirens)
    with pytest.raises(DataError, match="import them apart"):
        plan_dws_inr(both.parent)


def test_no_link_leads_out(nfn, sirens, tmp_path):
    root = nfn_copy(nfn, tmp_path)
    outside = shutil.move(root / f"randinit_smaller_{sirens[0][1]}s" / "net7.pth", tmp_path / "net7.pth")
    (root / f"randinit_smaller_{sirens[0][1]}s" / "net7.pth").symlink_to(outside)
    refuse(plan_nfn_siren, "is a link that leads out of the folder", path=root)


def test_an_interrupted_import_goes_on_to_the_same_bytes(nfn, tmp_path, monkeypatch):
    plan = plan_nfn_siren(nfn)
    whole = write_plan(plan, tmp_path / "whole")
    monkeypatch.setattr("mnfn_cli.zoo.plan.BLOCK_BYTES", 4 * 2 * plan.spaces[0].spec.num_parameters)
    reads = []

    def failing(space, rows):
        reads.append(rows)
        if len(reads) == 3:
            raise KeyboardInterrupt
        return plan.read(space, rows)

    with pytest.raises(KeyboardInterrupt):
        write_plan(replace(plan, read=failing), tmp_path / "again")
    again = write_plan(plan, tmp_path / "again")
    tensors = [map_tensors(zoo.path / "weights-00001-of-00001.safetensors") for zoo in (whole, again)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert whole.fingerprint == again.fingerprint


def test_a_file_that_changes_meanwhile_is_noticed(nfn, tmp_path):
    root = nfn_copy(nfn, tmp_path)
    plan = plan_nfn_siren(root)
    file = root / plan.table["file"][0]
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(DataError, match="was changed while it was imported"):
        write_plan(plan, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_halved_networks_draw_on_the_other_range(sirens):
    tensors = sirens[0][0]
    assert torch.allclose(siren_module(halved(tensors), 0.5)(grid(8)), (siren_module(tensors)(grid(8)) + 1) / 2)
