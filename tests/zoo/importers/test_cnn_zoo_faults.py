"""Damaged and hostile files of the Small CNN Zoo: one line that names file, row and column, and nothing is written."""

import gzip
import os
import pickle
import re
import shutil
import struct

import numpy as np
import pytest
from cnn_zoo_files import HEADING, LAYOUT, content_of, metrics_row, write_metrics

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.importers.small_cnn_zoo import plan_small_cnn_zoo
from mnfn_cli.zoo.plan import write_plan


@pytest.fixture
def foreign(cnn_zoo, tmp_path):
    return shutil.copytree(cnn_zoo, tmp_path / "foreign")


def refused(folder, match, **options):
    """Assert that the import is refused in one line, and that nothing is written."""
    before = content_of(folder) if not any(path.is_fifo() for path in folder.iterdir()) else None
    with pytest.raises(DataError, match=match) as caught:
        write_plan(plan_small_cnn_zoo(folder, **{"protocol": "nfn", **options}), folder.parent / "zoo")
    assert caught.value.exit_code == 3 and len(caught.value.faults) == 1
    (line,) = caught.value.faults
    assert line.isprintable() and len(line) <= 600 and "allow_pickle" not in line and "Error" not in line
    assert not [path.name for path in folder.parent.iterdir() if "zoo" in path.name]
    assert before is None or content_of(folder) == before


def header(descr="'<f4'", fortran="False", shape="(72, 4970)", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


class Canary:
    """A pickle that would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.fault("F15")
def test_objects_in_an_array_are_never_unpickled(foreign, tmp_path):
    for shape in ((72, 4970), (1,)):
        array = np.empty(shape, dtype=object)
        array.flat[0] = Canary(tmp_path / "ran")
        np.save(foreign / "weights.npy", array, allow_pickle=True)
        refused(foreign, r"weights\.npy: holds Python objects or records, of which none was read")
    (foreign / "weights.npy").write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    refused(foreign, r"weights\.npy: is no array in numpy's format")
    np.save(foreign / "weights.npy", np.zeros(72, dtype=[("a", "f4"), ("b", "O")]), allow_pickle=True)
    refused(foreign, r"weights\.npy: holds Python objects or records")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is no array in numpy's format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is no array in numpy's format: it begins with b'version '"),
        (header()[:20], "damaged header"),
        (b"\x93NUMPY\x09\x00" + header()[8:], "is in version 09.00 of numpy's format"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + header()[10:], "has a header of 4294967295 bytes"),
        (header(shape="(1000000000, 4970)"), "is cut short: 8. bytes, and 1000000000 x 4970 numbers take 19880000000"),
        (header(shape="(" + "9" * 5000 + ", 4970)"), "damaged header"),
        (header() + bytes(72 * 4970 * 4 - 1), "is cut short"),
        (header() + bytes(72 * 4970 * 4 + 1), "goes on behind its numbers"),
        (header(fortran="True") + bytes(72 * 4970 * 4), "Fortran order"),
        (header(fortran="__import__('os').abort()") + bytes(72 * 4970 * 4), "damaged header"),
        (header(descr="'<i4'") + bytes(72 * 4970 * 4), "holds numbers of type '<i4'"),
        (header(descr="'<c8'") + bytes(72 * 4970 * 8), "holds numbers of type '<c8'"),
        (header(shape="(357840,)") + bytes(72 * 4970 * 4), r"shape \(357840,\)"),
        (header(shape="(0, 4970)"), r"shape \(0, 4970\)"),
        (header(shape="(71, 4970)") + bytes(71 * 4970 * 4), "row 71: is there, and the weights have only 71 rows"),
        (header(shape="(73, 4970)") + bytes(73 * 4970 * 4), "72 rows; the weights have 73"),
        (header(shape="(72, 4971)") + bytes(72 * 4971 * 4), "names 4970 columns of the 4971"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else re.sub(r"\W+", " ", value),
)
@pytest.mark.fault("F16", "F18")
def test_arrays(foreign, content, match):
    (foreign / "weights.npy").write_bytes(content)
    refused(foreign, match)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
@pytest.mark.fault("F17")
def test_floats_of_any_size_and_byte_order_are_read(foreign, tmp_path, dtype, version):
    array = np.load(foreign / "weights.npy").astype(dtype)
    with (foreign / "weights.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version)
    zoo = write_plan(plan_small_cnn_zoo(foreign, protocol="nfn"), tmp_path / "zoo")
    for part in zoo.parts:
        features = part.read()
        assert features.dtype.itemsize == int(dtype[2])
        rows = [int(name) for name in part.ids]
        assert np.array_equal(features.biases[1][:, 0].numpy(), array[rows, 160:176])


def test_a_file_that_changes_after_the_plan(foreign, tmp_path):
    plan = plan_small_cnn_zoo(foreign, protocol="nfn")
    os.truncate(foreign / "weights.npy", 5000)
    with pytest.raises(DataError, match=r"weights\.npy: was changed while it was read"):
        write_plan(plan, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def changed(old, new, count=1):
    assert old in LAYOUT
    return LAYOUT.replace(old, new, count)


LINES = LAYOUT.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("layout", "match"),
    [
        (changed('"(16,)"', "\"__import__('os').abort()\""), r"row 0:shape: .* is read, not evaluated"),
        (changed('"(16,)"', '"(8 + 8,)"'), "row 0:shape"),
        (changed('"(16,)"', '"(2**4,)"'), "row 0:shape"),
        (changed('"(16,)"', "16"), "row 0:shape"),
        (changed('"(16,)"', '"(17,)"'), "row 0:shape: .*does not fill the columns 0 to 16"),
        (changed('"(16,)"', '"(4, 4)"'), "row 0:shape: .*has 2 axes"),
        (changed("2480,2496", "2480,2_496"), "row 4:end_idx: '2_496' is no number"),
        (changed("2480,2496", "-1,2496"), "row 4:start_idx: '-1' is no number"),
        (changed("0,160,176", "0,161,177"), "row 2:start_idx: 161 leaves a gap: expected 160"),
        (changed("0,160,176", "0,159,175"), "row 2:start_idx: 159 overlaps the row before"),
        (changed('4810,4970,"(16, 10)"', '4810,4980,"(17, 10)"'), "row 7:end_idx: 4980; the weights have 4970"),
        ("".join(LINES[:-1]), r"layout\.csv: names 4810 columns of the 4970"),
        ("".join([LINES[0], *LINES[3:5], *LINES[1:3], *LINES[5:]]), "row 0:start_idx: 160 leaves a gap"),
        ("".join([LINES[0], *reversed(LINES[1:])]), "row 0:start_idx"),
        (LAYOUT.replace("conv2d_1", "conv2d_3"), "contradicts their names: sequential/conv2d, sequential/conv2d_3, "),
        (changed("conv2d_1/bias", "conv2d_1/scale"), "row 2:varname"),
        (changed("conv2d_1/bias", "conv2d_9/bias"), "conv2d_9: has no kernel"),
        (changed("conv2d_2/bias", "conv2d_1/bias"), "row 4:varname: .* is there twice"),
        (changed('"(3, 3, 16, 16)"', '"(3, 3, 8, 32)"'), "16 numbers for 32 outputs"),
        (changed('"(3, 3, 1, 16)"', '"(3, 3, 16, 1)"'), "16 numbers for 1 outputs"),
        (changed('"(16, 10)"', '"(10, 16)"'), "10 numbers for 16 outputs"),
        (changed('"(3, 3, 1, 16)"', '"(9, 16)"'), "not convolutions followed by dense layers"),
        (changed('"(3, 3, 1, 16)"', '"(3, 1, 3, 16)"'), None),
        (changed("varname", "name"), "layout.csv:varname: this column is missing"),
        (changed("end_idx,shape", "end_idx,end_idx"), "end_idx: this column is there twice"),
        (changed(",16,160,", ",16,160,7,"), "row 1: 5 cells; the heading has 4"),
        (changed(",16,160,", ",16,"), "row 1: 3 cells"),
        ("", "varname: this column is missing"),
        ("\x00" * (2**20 + 1), "is larger than"),
        (changed('"(16, 10)"', '"(16, 10)'), "is no table"),
        (changed("sequential/dense/bias", "../\x1b[31m/bias"), r"row 6:varname: '../\\x1b\[31m/bias:0'"),
    ],
    ids=lambda value: "" if value is None or "\n" in value or len(value) > 100 else re.sub(r"\W+", " ", value),
)
@pytest.mark.fault("F19", "F20", "F21", "F22")
def test_layouts(foreign, layout, match):
    (foreign / "layout.csv").write_text(layout)
    if match is None:  # a consistent layout of other shapes
        (spec,) = {space.spec.weight_shapes for space in plan_small_cnn_zoo(foreign, protocol="nfn").spaces}
        assert spec[0] == (16, 3, 3, 1)
        return
    refused(foreign, match)


def rows_with(**changes):
    rows = [metrics_row("relu", 86, 0.5) for _ in range(72)]
    rows[17] |= changes
    return rows


def test_kernel_before_bias_is_read_by_name(foreign, cnn_zoo):
    swapped = changed(LINES[7], "").replace(
        LINES[8], 'sequential/dense/kernel:0,4800,4960,"(16, 10)"\nsequential/dense/bias:0,4960,4970,"(10,)"\n'
    )
    (foreign / "layout.csv").write_text(swapped)
    array = np.load(foreign / "weights.npy")
    np.save(foreign / "weights.npy", np.concatenate([array[:, :4800], array[:, 4810:], array[:, 4800:4810]], axis=1))
    one, other = (plan_small_cnn_zoo(folder, protocol="nfn") for folder in (foreign, cnn_zoo))
    assert (one.read("1", range(3)).flatten() == other.read("1", range(3)).flatten()).all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"test_accuracy": "nan"}, "row 17:test_accuracy: 'nan' is no accuracy"),
        ({"test_accuracy": "1e400"}, "row 17:test_accuracy"),
        ({"test_accuracy": "0.5%"}, "row 17:test_accuracy"),
        ({"test_accuracy": ""}, "row 17:test_accuracy"),
        ({"test_accuracy": "1.01"}, "row 17:test_accuracy"),
        ({"test_accuracy": "0_5"}, "row 17:test_accuracy"),
        ({"test_accuracy": "٠.٥"}, "row 17:test_accuracy"),
        ({"train_accuracy": "-0.5"}, "row 17:train_accuracy"),
        ({"test_loss": "0.5%"}, "row 17:test_loss: '0.5%' is no number"),
        ({"train_loss": "None"}, "row 17:train_loss"),
        ({"step": "last"}, "row 17:step: 'last' is no whole number"),
        ({"step": "86.5"}, "row 17:step"),
        ({"step": "nan"}, "row 17:step"),
        ({"config.activation": "selu"}, "row 17:config.activation: 'selu' is unknown; known: relu"),
        ({"config.activation": ""}, "row 17:config.activation: '' is unknown"),
        ({"config.w_init": "\x1b[31m"}, r"row 17:config.w_init: '\\x1b\[31m' holds control characters"),
        ({"config.w_init": "x" * 70_000}, "row 17: unpacks to more"),
    ],
    ids=lambda value: re.sub(r"\W+", " ", value) if isinstance(value, str) else "",
)
@pytest.mark.fault("F27")
def test_cells(foreign, changes, match):
    write_metrics(foreign, rows_with(**changes))
    refused(foreign, match)


def test_losses_may_be_undefined_and_the_folder_of_a_model_strange(foreign):
    for text in ("nan", "inf", "-inf", "1e400", ""):
        write_metrics(foreign, rows_with(test_loss=text, modeldir="\x1b[31m"))
        plan = plan_small_cnn_zoo(foreign, protocol="nfn")
        assert plan.table["test_loss"].null_count() == 1 and "modeldir" not in plan.table.columns
        assert any("modeldir" in note for note in plan.notes)
    write_metrics(foreign, rows_with(modeldir="/a" * 200))
    assert "modeldir" not in plan_small_cnn_zoo(foreign, protocol="nfn").table.columns


@pytest.mark.parametrize("name", ["step", "config.activation", "test_accuracy", "train_loss"])
@pytest.mark.fault("F26")
def test_a_missing_column_and_one_that_is_there_twice(foreign, name):
    write_metrics(foreign, rows_with(), [column for column in HEADING if column != name])
    refused(foreign, f"metrics.csv.gz:{name}: this column is missing")
    write_metrics(foreign, rows_with(), [*HEADING, name])
    refused(foreign, f"metrics.csv.gz:{name}: this column is there twice")


def test_other_columns_are_optional_and_said(foreign):
    rows = [row | {"extra": "1", "": str(number)} for number, row in enumerate(rows_with())]
    write_metrics(foreign, rows, ["", *HEADING[:1], *HEADING[16:], "extra"])
    plan = plan_small_cnn_zoo(foreign, protocol="nfn")
    assert plan.table.columns[-1] == "config.activation" and plan.images == {}
    assert any(note == "columns that are not imported: , extra" for note in plan.notes)


@pytest.mark.fault("F23", "F24", "F25")
def test_damaged_tables(foreign):
    content = (foreign / "metrics.csv.gz").read_bytes()
    text = gzip.decompress(content)
    lines = text.splitlines(keepends=True)
    for damaged, match in (
        (content[: len(content) // 2], "is no whole gzip file"),
        (content[:-4], "is no whole gzip file"),
        (text, "is no whole gzip file"),
        (b"", "metrics.csv.gz"),
        (content[:200] + bytes(50) + content[250:], "metrics.csv.gz"),
        (
            gzip.compress(b"".join([*lines[:18], b"x," + lines[18], *lines[19:]])),
            "row 17: 22 cells; the heading has 21",
        ),
        (gzip.compress(b"".join([*lines[:18], lines[18].replace(b",", b"", 1), *lines[19:]])), "row 17: 20 cells"),
        (gzip.compress(text + b"\r\n"), "row 72: is there, and the weights have only 72 rows"),
        (gzip.compress(b"".join([*lines[:18], b'"', *lines[18:]])), "row 17: is no row: "),
        (gzip.compress(b"".join([*lines[:18], b"\xff", *lines[18:]])), "row 17: is no text in UTF-8"),
        (gzip.compress(b"".join(lines[:1])), "0 rows; the weights have 72"),
        (gzip.compress(b""), "config.activation: this column is missing"),
    ):
        (foreign / "metrics.csv.gz").write_bytes(damaged)
        refused(foreign, match)


@pytest.mark.parametrize("piece", [bytes(2**20), b"a,b\n" * 2**18, b"\n" * 2**20])
def test_a_bomb_stops_early(foreign, piece):
    with gzip.open(foreign / "metrics.csv.gz", "wb", 1) as file:
        for _ in range(300):
            file.write(piece)
    refused(foreign, "metrics.csv.gz")
    heading = ",".join(HEADING).encode() + b"\n"
    with gzip.open(foreign / "metrics.csv.gz", "wb", 1) as file:
        file.write(heading)
        for _ in range(300):
            file.write(piece)
    refused(foreign, "metrics.csv.gz")


def test_choices_that_no_network_has(foreign):
    refused(foreign, r"gz:step: no network has step 85; there are 0, 1, 2, 3, 20, 40, 60, 80, 86$", step=85)
    refused(foreign, "no such column; did you mean 'config.optimizer'?", where={"config.optimiser": "adam"})
    refused(foreign, "did you mean 'config.activation'?", where={"activation": "relu"}, protocol="monomial")
    refused(foreign, "'ReLU'; there are relu, tanh", where={"config.activation": "ReLU"}, protocol="monomial")
    write_metrics(foreign, rows_with(**{"config.activation": "tanh", "config.optimizer": "none"}))
    both = {"config.activation": "relu", "config.optimizer": "none"}
    refused(foreign, "no network of step 86 has config.activation=relu and", where=both, protocol="scalegmn")


def test_split_files(foreign, cnn_zoo):
    order = (cnn_zoo / "digits_split.csv").read_text().split()
    for lines, match in (
        (order[1:], "holds 72 lines; for the 72 rows of the weights it has 73"),
        ([*order, "3"], "holds 74 lines"),
        ([], "holds 0 lines"),
        (["0"] * 100_000, "lines; for the 72 rows"),
        (["1", *order[1:]], "line 1: '1' is no 0, with which a published file begins"),
        ([*order[:-1], order[5]], f"line 73: row {order[5]} is there twice"),
        ([*order[:-1], "72"], "line 73: '72' is no row of the weights, 0 to 71"),
        ([*order[:-1], "-1"], "line 73: '-1' is no row"),
        ([*order[:-1], "1e1"], "line 73: '1e1' is no row"),
        ([*order[:-1], ""], "line 73: '' is no row"),
        ([*order[:-1], "\x1b[31m"], "line 73"),
    ):
        (foreign / "digits_split.csv").write_text("".join(f"{line}\n" for line in lines))
        refused(foreign, match)
    (foreign / "digits_split.csv").write_bytes(b"\x80\x04\x95" * 500)
    refused(foreign, "digits_split.csv")


@pytest.mark.parametrize("name", ["weights.npy", "metrics.csv.gz", "layout.csv", "digits_split.csv"])
@pytest.mark.fault("Z16", "Z18", "H11")
def test_links_pipes_and_missing_files(foreign, name, tmp_path):
    (foreign / name).rename(tmp_path / "elsewhere")
    if name != "digits_split.csv":
        refused(foreign, f"{name}: cannot read: No such file")
    (foreign / name).symlink_to(tmp_path / "elsewhere")
    refused(foreign, f"{name}: is a link that leads out of the folder")
    (foreign / name).unlink()
    (foreign / name).symlink_to(f"../{foreign.name}/{name}")
    with pytest.raises(DataError, match=name):
        plan_small_cnn_zoo(foreign, protocol="nfn")
    (foreign / name).unlink()
    os.mkfifo(foreign / name)
    refused(foreign, f"{name}: is no regular file")
    (foreign / name).unlink()
    (foreign / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: is no regular file"):
        plan_small_cnn_zoo(foreign, protocol="nfn")
    (foreign / name).rmdir()
    (tmp_path / "elsewhere").rename(foreign / "inside")
    (foreign / name).symlink_to("inside")
    assert plan_small_cnn_zoo(foreign, protocol="nfn").table.height == 8


def test_what_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, problem in (("file", "is a file; name the folder"), ("absent", "no such folder; name")):
        with pytest.raises(DataError, match=problem):
            plan_small_cnn_zoo(tmp_path / name, protocol="nfn")
