"""The Small CNN Zoo, entry by entry as a slow reading of its files finds it, for every protocol, step and reading."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cnn_zoo_files import (
    STEPS,
    content_of,
    metrics_row,
    slow_network,
    slow_split,
    write_data_set,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interrupted_runs import StopAfter

from mnfn_cli.errors import DataError, InterruptedRun, OutputError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo import plan as writing
from mnfn_cli.zoo.importers.small_cnn_zoo import plan_small_cnn_zoo
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.verification import verify_zoo

RELU = {"config.activation": "relu"}


def compare(folder, zoo, chosen, rows, stray=False):
    """Compare a zoo with what the slow reading found: ids, splits, table and every number."""
    ids = [str(row) for row, _ in chosen]
    if stray:
        ids[ids.index("0")] = "0-stray"
    table = zoo.table
    assert zoo.ids == ids and table["split"].to_list() == [split for _, split in chosen]
    for number, (row, _) in enumerate(chosen):
        found = table.row(number, named=True)
        assert found["activation"] == rows[row]["config.activation"]
        for name, text in rows[row].items():
            if text == "nan":
                assert found[name] is None
            elif name.startswith("config.") or name == "modeldir":
                assert found[name] == type(found[name])(text)
            else:
                assert found[name] == float(text)
    for part in zoo.parts:
        assert part.spec == NetworkSpec.cnn(
            [1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation=part.table["activation"][0]
        )
        features = part.read()
        for place, number in enumerate(part.numbers):
            expected = slow_network(folder, chosen[number][0])
            assert [tensor[place, 0].tolist() for tensor in features.tensors()] == expected


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("protocol", ["nfn", "monomial", "scalegmn"])
def test_every_protocol_step_and_reading(cnn_zoo, tmp_path, protocol, step):
    bare = shutil.copytree(cnn_zoo, tmp_path / "bare")
    (bare / "digits_split.csv").unlink()
    for activation in (None,) if protocol == "nfn" else (None, "relu", "tanh"):
        for folder, stray_row in ((cnn_zoo, "drop"), (cnn_zoo, "keep"), (bare, "drop")):
            chosen, rows = slow_split(folder, protocol, step, activation, stray_row)
            where = {"config.activation": activation} if activation else {}
            plan = plan_small_cnn_zoo(folder, protocol=protocol, step=step, where=where, stray_row=stray_row)
            zoo = write_plan(plan, tmp_path / f"{activation}-{folder.name}-{stray_row}")
            compare(folder, zoo, chosen, rows, stray=[row for row, _ in chosen].count(0) == 2)
            assert verify_zoo(zoo.path) == []
            made = zoo.record.made.to_json()
            assert (made["protocol"], made["step"], made["where"]) == (protocol, step, where)
            assert zoo.record.split_protocol.startswith(f"{protocol}: ")
            assert made["split_file"] == ("digits_split.csv" if folder is cnn_zoo else None)
            assert made["stray_row"] == (stray_row if folder is cnn_zoo else None)
            assert zoo.record.images.to_json() == {"source": "digits"}


SMALL = """varname,start_idx,end_idx,shape
s/conv2d/bias:0,0,2,"(2,)"
s/conv2d/kernel:0,2,10,"(2, 2, 1, 2)"
s/dense/bias:0,10,13,"(3,)"
s/dense/kernel:0,13,19,"(2, 3)"
"""


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_the_rows(tmp_path, data):
    count = data.draw(st.integers(2, 40))
    order = data.draw(st.permutations(range(count)))
    kinds = data.draw(st.lists(st.sampled_from(["relu", "tanh"]), min_size=count, max_size=count))
    steps = data.draw(st.lists(st.sampled_from([80, 86]), min_size=count, max_size=count))
    dtype = data.draw(st.sampled_from(["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"]))
    array = np.arange(19 * count).reshape(count, 19).astype(dtype)
    rows = [metrics_row(kind, step, (n + 1) / 64) for n, (kind, step) in enumerate(zip(kinds, steps, strict=True))]
    shutil.rmtree(tmp_path / "foreign", ignore_errors=True)
    folder = write_data_set(tmp_path / "foreign", array, rows, layout=SMALL, order=order)
    protocol = data.draw(st.sampled_from(["nfn", "monomial", "scalegmn"]))
    activation = None if protocol == "nfn" else data.draw(st.sampled_from([None, "relu", "tanh"]))
    stray_row = data.draw(st.sampled_from(["drop", "keep"]))
    chosen, _ = slow_split(folder, protocol, 86, activation, stray_row)
    where = {"config.activation": activation} if activation else None
    if not chosen:
        with pytest.raises(DataError, match=r"metrics\.csv\.gz"):
            plan_small_cnn_zoo(folder, protocol=protocol, where=where, stray_row=stray_row)
        return
    plan = plan_small_cnn_zoo(folder, protocol=protocol, where=where, stray_row=stray_row)
    ids = [name.removesuffix("-stray") for name in plan.table["id"].to_list()]
    assert list(zip(ids, plan.table["split"].to_list(), strict=True)) == [(str(row), split) for row, split in chosen]
    assert plan.table["id"].n_unique() == plan.table.height
    for space in plan.spaces:
        own = [row for row, _ in chosen if kinds[row] == space.spec.activation]
        start = data.draw(st.integers(0, len(own) - 1))
        features = plan.read(space.name, range(start, len(own)))
        assert features.dtype == getattr(torch, f"float{8 * int(dtype[2])}")
        weights = features.weights[0][:, 0].numpy()
        assert np.array_equal(weights[:, 1, 0, 1, 0], array[own[start:], 2 + 5])
        assert np.array_equal(features.weights[1][:, 0, 2, 1].numpy(), array[own[start:], 13 + 5])
        assert np.array_equal(features.biases[1][:, 0].numpy(), array[own[start:], 10:13])


def test_the_stray_row_is_a_leak_that_is_said(cnn_zoo):
    seen = set()
    order = [int(line) for line in (cnn_zoo / "digits_split.csv").read_text().split()][1:]
    for turn in range(72):
        own = cnn_zoo.parent / "turned"
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(cnn_zoo, own)
        (own / "digits_split.csv").write_text("".join(f"{n}\n" for n in [0, *order[turn:], *order[:turn]]))
        plan = plan_small_cnn_zoo(own, protocol="nfn", stray_row="keep")
        splits = [dict(plan.table.select("id", "split").iter_rows())[name] for name in ("0", "0-stray")]
        note = next(note for note in plan.notes if "stray" in note)
        assert ("leak" in note) == (splits[0] != splits[1])
        seen.add("leak" in note)
    assert seen == {True, False}
    plan = plan_small_cnn_zoo(cnn_zoo, protocol="nfn", step=80, stray_row="keep")
    assert any("changes nothing" in note for note in plan.notes)
    assert not any("stray" in note for note in plan_small_cnn_zoo(cnn_zoo, protocol="nfn").notes)


def test_what_the_user_should_know(final_zoo):
    plan = plan_small_cnn_zoo(final_zoo, protocol="monomial")
    assert any("in the order of weights.npy" in note for note in plan.notes)
    assert any("none is chosen with --where config.activation" in note for note in plan.notes)
    plan = plan_small_cnn_zoo(final_zoo, protocol="monomial", where=RELU)
    assert len(plan.notes) == 1 and plan.made["split_protocol"] == (
        "monomial: config.activation=relu, then split; step 86, in the order of weights.npy"
    )


def test_other_conditions_choose_before_the_split(cnn_zoo, final_zoo):
    whole = plan_small_cnn_zoo(final_zoo, protocol="scalegmn", where=RELU).table
    for value in ("adam", "sgd"):
        table = plan_small_cnn_zoo(final_zoo, protocol="scalegmn", where={"config.optimizer": value}).table
        half = table.height // 2
        assert table["split"].to_list().count("test") == table.height - half > 1
        both = plan_small_cnn_zoo(final_zoo, protocol="scalegmn", where={"config.optimizer": value} | RELU).table
        assert both.height < min(whole.height, table.height)
        assert both.equals(table.drop("weight_space").filter(table["activation"] == "relu"))
    equal = plan_small_cnn_zoo(cnn_zoo, protocol="nfn", where={"config.num_layers": "3.0", "config.l2reg": "0.000001"})
    assert equal.table.equals(plan_small_cnn_zoo(cnn_zoo, protocol="nfn").table)


def test_a_split_file_anywhere_and_several_in_the_folder(cnn_zoo, tmp_path):
    own = shutil.copytree(cnn_zoo, tmp_path / "own")
    (own / "digits_split.csv").rename(tmp_path / "order.txt")
    given_file = plan_small_cnn_zoo(own, protocol="nfn", split_file=tmp_path / "order.txt")
    assert given_file.table.equals(plan_small_cnn_zoo(cnn_zoo, protocol="nfn").table)
    for name in ("a_split.csv", "b_split.txt"):
        shutil.copy(tmp_path / "order.txt", own / name)
    with pytest.raises(DataError, match=r"a_split\.csv, b_split\.txt; name one with --split-file"):
        plan_small_cnn_zoo(own, protocol="nfn")


def test_networks_that_are_not_finite(cnn_zoo, tmp_path):
    own = shutil.copytree(cnn_zoo, tmp_path / "own")
    array = np.load(own / "weights.npy")
    array[0, 4801], array[9, 16], array[1, 3] = np.nan, np.inf, np.nan
    np.save(own / "weights.npy", array)
    with pytest.raises(DataError) as caught:
        plan_small_cnn_zoo(own, protocol="nfn", stray_row="keep")
    names = ("row 0:sequential/dense/bias:0", "row 9:sequential/conv2d/kernel:0")
    problem = "is not finite (NaN or infinity); leave such networks out with --on-bad skip"
    assert list(caught.value.faults) == [f"{own}/weights.npy:{name}: {problem}" for name in names]
    plan = plan_small_cnn_zoo(own, protocol="nfn", stray_row="keep", skip_bad=True)
    assert len(plan.skipped) == 2 and not {"0", "0-stray", "9"} & set(plan.table["id"])
    whole = plan_small_cnn_zoo(cnn_zoo, protocol="nfn", stray_row="keep").table
    assert plan.table.equals(whole.filter(~whole["id"].is_in(["0", "0-stray", "9"])))
    array[:] = np.nan
    np.save(own / "weights.npy", array)
    with pytest.raises(DataError, match="is not finite"):
        plan_small_cnn_zoo(own, protocol="nfn", skip_bad=True)


def test_an_interrupted_import_goes_on_to_the_same_bytes(cnn_zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SHARD_BYTES", 2 * 4 * 4970)
    monkeypatch.setattr(writing, "BLOCK_BYTES", 4 * 4970)
    whole = content_of(write_plan(plan_small_cnn_zoo(cnn_zoo, protocol="nfn"), tmp_path / "whole").path)
    assert sum(name.startswith("weights-") for name in whole) == 4
    for checks in range(8):
        output = tmp_path / f"again-{checks}"
        plan = plan_small_cnn_zoo(cnn_zoo, protocol="nfn")
        with pytest.raises(InterruptedRun, match="the same command continues it"):
            write_plan(plan, output, context=Context(interruption=StopAfter(checks)))
        assert not output.exists()
        if checks == 5:
            with pytest.raises(OutputError, match="unfinished build with other protocol"):
                write_plan(plan_small_cnn_zoo(cnn_zoo, protocol="monomial"), output)
        read = []
        watched = replace(plan, read=lambda space, rows, plan=plan, read=read: read.append(1) or plan.read(space, rows))
        assert content_of(write_plan(watched, output).path) == whole
        done = min(checks, 4), max(checks - 4, 0)  # networks of each weight space; a shard is written before the next
        assert len(read) == 8 - sum(max(count - 1, 0) // 2 * 2 for count in done)
    with pytest.raises(InterruptedRun, match="nothing was written"):
        plan_small_cnn_zoo(cnn_zoo, protocol="nfn", context=Context(interruption=StopAfter(0)))


@pytest.mark.crash
def test_killed_between_any_two_changes_it_goes_on_to_the_same_bytes(cnn_zoo, tmp_path):
    program = Path(__file__).with_name("killed_import.py")
    done = subprocess.run([sys.executable, program, cnn_zoo, tmp_path], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    files = list((tmp_path / "whole").iterdir())
    assert int(done.stdout) > 2 * len(files) > 8, "each file is opened and gets its name"


def test_what_cannot_be_meant(cnn_zoo):
    with pytest.raises(UsageError, match="--protocol: 'nfm' is unknown; known: nfn, monomial, scalegmn"):
        plan_small_cnn_zoo(cnn_zoo, protocol="nfm")
    with pytest.raises(UsageError, match="--stray-row: 'both' is unknown; known: drop, keep"):
        plan_small_cnn_zoo(cnn_zoo, protocol="nfn", stray_row="both")
    with pytest.raises(UsageError, match="nfn keeps all activations"):
        plan_small_cnn_zoo(cnn_zoo, protocol="nfn", where=RELU)
