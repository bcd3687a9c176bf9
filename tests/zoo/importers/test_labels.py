"""Labels of a folder: matched by names, never by position; every fault with its file, row and column."""

import json

import pytest
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.columns import typed
from mnfn_cli.zoo.importers.folder import plan_folder
from mnfn_cli.zoo.importers.folder_labels import LabelOptions
from mnfn_cli.zoo.plan import write_plan

TANH = Architecture(activation="tanh", pools=("max2:before", "max2:before", "none"), input_size=(28, 28))
NAMES = ["001", "1", "b", "c"]


@pytest.fixture
def folder(plain_cnns, tmp_path):
    """Four networks, in the order in which they are listed: b, c, 001, 1."""
    (tmp_path / "nets").mkdir()
    for name, (net, _) in zip(NAMES, plain_cnns, strict=False):
        torch.save(net.state_dict(), tmp_path / "nets" / f"{name}.pt")
    return tmp_path / "nets"


def labelled(folder, text, name="labels.csv", skip_bad=False, **options):
    """The table of an import with labels in a file."""
    file = folder.parent / name
    file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
    options = LabelOptions(file, **options)
    return plan_folder(folder, architecture=TANH, labels=options, skip_bad=skip_bad)


def column(plan, name):
    return dict(zip(plan.table["id"], plan.table[name], strict=True))


GOOD = "id,acc,lr\n1,0.1,1e-3\n001,0.5,2\nc,0.25,3\nb,1,4\n"


@pytest.mark.fault("F29")
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ends_of_lines_and_a_byte_order_mark_change_nothing(folder, mark, end):
    plan = labelled(folder, (mark + GOOD.replace("\n", end)).encode())
    assert plan.table.equals(labelled(folder, GOOD).table)


@pytest.mark.fault("F30")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.encode("utf-16"), r"labels\.csv: is not UTF-8: byte 0"),
        (GOOD.replace("\n", "\r"), r"labels\.csv: no readable CSV file"),
        ("", r"labels\.csv: is empty"),
        (GOOD.splitlines()[0], r"b\.pt: has no row in .*labels\.csv"),
    ],
)
def test_a_table_of_another_encoding_or_without_rows(folder, text, problem):
    with pytest.raises(DataError, match=problem):
        labelled(folder, text)


@pytest.mark.fault("F28")
def test_rows_are_matched_by_name(folder, tmp_path):
    plan = labelled(folder, GOOD, target="acc")
    assert column(plan, "test_accuracy") == {"1": 0.1, "001": 0.5, "c": 0.25, "b": 1.0}
    assert column(plan, "lr") == {"1": 1e-3, "001": 2.0, "c": 3.0, "b": 4.0} and "acc" not in plan.table.columns
    assert plan.made["labels"] == {
        "file": str(tmp_path / "labels.csv"), "key": "id", "rows": 4, "matched": 4, "networks_without_row": 0,
        "target": "acc", "written_as": "test_accuracy",
    }  # fmt: skip
    zoo = write_plan(plan, tmp_path / "zoo")
    assert column(zoo, "test_accuracy") == column(plan, "test_accuracy")


@pytest.mark.parametrize("key", ["id", "file", "name", "path", "which"])
@pytest.mark.parametrize("form", ["{}", "{}.pt", "./{}.pt"])
def test_names_with_and_without_the_suffix(folder, key, form):
    rows = "\n".join(f"{form.format(name)},0.{place}" for place, name in enumerate(NAMES))
    plan = labelled(folder, f"{key},acc\n{rows}\n", key="which" if key == "which" else None)
    assert column(plan, "acc") == {"001": 0.0, "1": 0.1, "b": 0.2, "c": 0.3}


def test_json_in_both_forms(folder):
    facts = {name: {"acc": place / 4, "note": None if place else "x"} for place, name in enumerate(NAMES)}
    listed = [{"file": f"{name}.pt", **row} for name, row in facts.items()]
    plans = [labelled(folder, json.dumps(document), "l.json", target="acc") for document in (facts, listed)]
    assert plans[0].table.drop("file").equals(plans[1].table.drop("file"))
    assert column(plans[0], "test_accuracy") == {name: place / 4 for place, name in enumerate(NAMES)}


def test_paths_inside_the_folder(folder, plain_cnns):
    (folder / "sub").mkdir()
    torch.save(plain_cnns[5][0].state_dict(), folder / "sub" / "b.pt")
    rows = "path,acc\n001,0.1\n1,0.2\nc,0.3\n"
    plan = labelled(folder, f"{rows}b.pt,0.4\nsub/b,0.5\n")
    assert column(plan, "acc") == {"001": 0.1, "1": 0.2, "c": 0.3, "b": 0.4, "sub-b": 0.5}
    (folder / "b.pt").rename(folder / "other.pt")
    (folder / "sub2").mkdir()
    (folder / "other.pt").rename(folder / "sub2" / "b.pt")
    with pytest.raises(DataError, match=r"labels.csv:row 5:path: 'b' may be sub2/b.pt and sub/b.pt; give paths inside"):
        labelled(folder, f"{rows}b,0.4\nsub/b.pt,0.5\n")


def test_splits_are_those_stated_or_drawn(folder):
    stated = "id,split\n001,train\n1,train\nb,val\nc,test\n"
    assert column(labelled(folder, stated), "split") == {"001": "train", "1": "train", "b": "val", "c": "test"}
    drawn = labelled(folder, stated, fractions={"train": 0.5, "val": 0.25, "test": 0.25}, seed=1)
    assert sorted(drawn.table["split"]) == ["test", "train", "train", "val"]
    assert drawn.made["split_protocol"] == "drawn 50/25/25 with seed 1"
    again = labelled(folder, stated, fractions={"train": 0.5, "val": 0.25, "test": 0.25}, seed=1)
    assert again.table.equals(drawn.table)
    with pytest.raises(DataError, match=r"labels.csv:row 3:split: has no split"):
        labelled(folder, stated.replace("1,train\nb", "1,\nb"))
    with pytest.raises(DataError, match="'dev' is no split; splits are train, val, test"):
        labelled(folder, stated.replace("val", "dev"))


def test_copies_stay_with_their_source(folder):
    for seed in range(20):
        plan = labelled(
            folder, "id,source_id\n001,\n1,001.pt\nb,c\nc,\n",
            fractions={"train": 0.5, "val": 0.0, "test": 0.5}, seed=seed,
        )  # fmt: skip
        split = column(plan, "split")
        assert split["001"] == split["1"] and split["b"] == split["c"] != split["1"]
    assert column(plan, "source_id") == {"001": None, "1": "001", "b": "c", "c": None}
    assert plan.made["split_protocol"].endswith("copies and their source together")
    stated = labelled(folder, "id,split,image_id\n001,train,7\n1,test,7\nb,val,8\nc,val,8\n")
    assert stated.notes == ["1 pictures or sources have networks in several splits, so that splits know each other"]


def test_labels_in_the_files(folder, plain_cnns):
    for place, name in enumerate(NAMES):
        state = {"state_dict": plain_cnns[place][0].state_dict(), "acc": place / 10, "epoch": 3, "who": "me"}
        torch.save(state, folder / f"{name}.pt")
    plan = plan_folder(folder, architecture=TANH, labels=LabelOptions(target="acc"))
    assert column(plan, "test_accuracy") == {"001": 0.0, "1": 0.1, "b": 0.2, "c": 0.3}
    assert set(plan.table["epoch"]) == {3} and set(plan.table["who"]) == {"me"}
    torch.save(plain_cnns[0][0].state_dict(), folder / "b.pt")
    with pytest.raises(DataError, match=r"nets/b.pt:acc: has no accuracy"):
        plan_folder(folder, architecture=TANH, labels=LabelOptions(target="acc"))


ROWS = {
    "percent": (GOOD.replace("0.25", "25%"), "row 4:acc: '25%' is a percentage; write the fraction 0.25"),
    "small percent": (GOOD.replace("0.25", "0.5%"), "row 4:acc: '0.5%' is a percentage; write the fraction 0.005"),
    "above one": (GOOD.replace("0.25", "93"), "row 4:acc: 93 is outside [0, 1]; an accuracy is a fraction"),
    "negative": (GOOD.replace("0.25", "-0.1"), "row 4:acc: -0.1 is outside [0, 1]"),
    "nan": (GOOD.replace("0.25", "nan"), "row 4:acc: 'nan' is no finite number"),
    "overflow": (GOOD.replace("0.25", "1e400"), "row 4:acc: '1e400' is no finite number"),
    "text": (GOOD.replace("0.25", "high"), "row 4:acc: 'high' is no finite number"),
    "missing": (GOOD.replace("0.25", ""), "row 4:acc: has no accuracy"),
    "nan in another column": (GOOD.replace("1e-3", "NaN"), "row 2:lr: 'NaN' is no finite number; leave the cell empty"),
    "percent in another column": (GOOD.replace("1e-3", "0.5%"), "row 2:lr: '0.5%' is a percentage"),
    "no row": (GOOD.replace("b,1,4\n", ""), "nets/b.pt: has no row in"),
    "no network": (GOOD + "d,0.5,1\n", "row 6:id: there is no network 'd'"),
    "no name": (GOOD + ",0.5,1\n", "row 6:id: names no file"),
    "two rows": (GOOD + "b.pt,0.5,1\n", "row 6:id: 'b.pt' has a row already, row 5"),
    "another activation": (GOOD.replace("lr", "activation").replace("1e-3", "relu").replace(",2\n", ",Tanh\n")
                           .replace(",3\n", ",\n").replace(",4\n", ",tanh\n"),
                           "row 2:activation: 'relu', and the network is read with tanh"),
    "a link out": (GOOD + "../b,0.5,1\n", "row 6:id: there is no network '../b'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROWS)
@pytest.mark.fault("Z9")
def test_faults_of_rows_are_named_and_can_be_skipped(folder, fault):
    text, problem = ROWS[fault]
    with pytest.raises(DataError) as caught:
        labelled(folder, text, target="acc")
    assert len(caught.value.faults) == 1 and problem in str(caught.value), caught.value.faults
    plan = labelled(folder, text, target="acc", skip_bad=True)
    lost = 0 if problem.startswith("row 6") else 1
    assert plan.table.height == 4 - lost and len(plan.skipped) == 1


def test_all_faults_in_one_pass(folder):
    (folder / "b.pt").write_bytes(b"")
    text = GOOD.replace("0.25", "93").replace("0.5", "1%") + "d,0.5,1\ne,0.5,1\n"
    with pytest.raises(DataError) as caught:
        labelled(folder, text, target="acc")
    assert len(caught.value.faults) == 5
    assert not any("'b'" in line for line in caught.value.faults)  # its row has a network, a bad one


TABLES = {
    "ragged": ("id,acc\n1,0.1\n001,0.2,7\nb\n", ["row 3: 3 cells, and the heading has 2", "row 4: 1 cells"]),
    "duplicate column": ("id,acc,acc\n1,1,1\n", ["row 1: column 'acc' is there twice"]),
    "nameless column": ("id,,acc\n1,1,1\n", ["row 1: column 2 has no name"]),
    "empty": ("", ["is empty"]),
    "no key": ("net,acc\n1,0.1\n", ["no column id, file, name, path names the files; say which one does with --id"]),
    "open quote": ('id,acc\n1,"0.1\n', ["no readable CSV file"]),
    "not UTF-8": (b"id,acc\n\xff,1\n", ["is not UTF-8: byte 7"]),
}


@pytest.mark.parametrize("fault", TABLES)
def test_tables_that_cannot_be_read(folder, fault):
    text, problems = TABLES[fault]
    for skip_bad in (False, True):
        with pytest.raises(DataError) as caught:
            labelled(folder, text, skip_bad=skip_bad)
        assert len(caught.value.faults) == len(problems)
        assert all(problem in line for problem, line in zip(problems, caught.value.faults, strict=True))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"1": {"acc": 1}, "1": {"acc": 2}}', "'1' is there twice"),
        ('{"1": 0.5}', "l.json:1: is no object"),
        ('[{"id": "1", "acc": [1]}]', "l.json:row 1:acc: is a list or an object"),
        ('{"1": {"id": "2"}}', "has a name already"),
        ("[]", "is empty"),
        ("3", "is neither a list of objects nor an object of objects"),
        ('[{"id": "1", "acc": NaN}, {"id": "b", "acc": 0.5}]', "l.json:row 1:acc: 'nan' is no finite number"),
        ("[" * 100_000, "is no readable JSON"),
    ],
)
def test_json_that_cannot_be_read(folder, text, problem):
    with pytest.raises(DataError) as caught:
        labelled(folder, text, "l.json", target="acc" if "acc" in text else None)
    assert problem in str(caught.value)


def test_wrong_options(folder):
    with pytest.raises(UsageError, match="--label: there is no column 'loss'; there are acc, lr"):
        labelled(folder, GOOD, target="loss")
    with pytest.raises(UsageError, match=r"--id: .* has no column 'net'; it has id, acc, lr"):
        labelled(folder, GOOD, key="net")
    with pytest.raises(UsageError, match=r"ends in neither \.csv nor \.json"):
        labelled(folder, GOOD, "labels.txt")
    with pytest.raises(UsageError, match="'acc' would become test_accuracy, and there is a column of that name"):
        labelled(folder, GOOD.replace("lr", "test_accuracy"), target="acc")
    with pytest.raises(DataError, match="cannot read"):
        plan_folder(folder, architecture=TANH, labels=LabelOptions(folder / "gone.csv"))


def test_an_accuracy_without_a_target_may_be_missing_but_not_wrong(folder):
    plan = labelled(folder, GOOD.replace("acc", "test_accuracy").replace("0.25", ""))
    assert column(plan, "test_accuracy") == {"1": 0.1, "001": 0.5, "c": None, "b": 1.0}
    with pytest.raises(DataError, match="93 is outside"):
        labelled(folder, GOOD.replace("acc", "test_accuracy").replace("0.25", "93"))


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2"], [1, 2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["-1", "+2", None], [-1, 2, None]),
        (["007", "1"], ["007", "1"]),
        (["a", "nan"], ["a", "nan"]),
        (["10%", "20%"], ["10%", "20%"]),
        (["9223372036854775807"], [2**63 - 1]),
        (["9223372036854775808"], ["9223372036854775808"]),
        ([None, None], [None, None]),
        (["True", "False"], ["True", "False"]),
        (["1_000", "2"], ["1_000", "2"]),
        (["١", "2"], ["١", "2"]),
    ],
)
def test_types_of_columns(texts, values):
    found, faults = typed("c", texts, ["row"] * len(texts))
    assert found == values and faults == {}
    assert [type(value) for value in found] == [type(value) for value in values]
