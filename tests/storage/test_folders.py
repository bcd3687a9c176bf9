"""Outputs appear complete or not at all; old ones stay until the new one is complete; one writer at a time."""

import multiprocessing
import os
import time

import pytest

from mnfn_cli.errors import DataError, OutputError, StorageError
from mnfn_cli.storage.atomic import replacing, to_json, write_text
from mnfn_cli.storage.folders import check_output, existing_folder, new_folder
from mnfn_cli.storage.locks import locked


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_file_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old" and content(tmp_path) == ["a"]


def test_a_folder_appears_when_complete(tmp_path):
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "out").exists()
    assert content(tmp_path) == ["out"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_failed_folder(tmp_path, keep):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", keep_partial=keep) as folder:
        (folder / "a").write_text("a")
        raise RuntimeError
    assert content(tmp_path) == (["out.partial"] if keep else [])


def test_force_replaces_only_when_complete(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", force=True):
        raise RuntimeError
    assert content(tmp_path / "out") == ["old"]
    with new_folder(tmp_path / "out", force=True) as folder:
        (folder / "new").write_text("new")
        assert content(tmp_path / "out") == ["old"]
    assert content(tmp_path / "out") == ["new"] and content(tmp_path) == ["out"]


def test_a_crash_between_the_two_renames_is_repaired(tmp_path):
    (tmp_path / "out.old").mkdir()
    (tmp_path / "out.old" / "old").write_text("old")
    assert existing_folder(tmp_path / "out", "zoo") == tmp_path / "out"
    assert content(tmp_path / "out") == ["old"]
    (tmp_path / "out.old").mkdir()  # a crash after them
    existing_folder(tmp_path / "out", "zoo")
    assert content(tmp_path) == ["out"]


def test_outputs_that_collide(tmp_path):
    source = tmp_path / "zoo"
    source.mkdir()
    for output in (source, source / "inside", tmp_path):
        with pytest.raises(OutputError, match="input"):
            check_output(output, force=True, inputs=(source,))
    check_output(tmp_path / "zoo2", force=False, inputs=(source,))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folders_are_found_before_the_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        check_output(tmp_path / "out", force=False)
    tmp_path.chmod(0o700)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        check_output(tmp_path / "file" / "out", force=False)
    with pytest.raises(DataError, match="is a file"):
        existing_folder(tmp_path / "file", "zoo")


def hold(path, seconds):
    with locked(path):
        time.sleep(seconds)


def test_the_second_writer_is_told_who_holds_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=hold, args=(tmp_path / "out", 60))
    other.start()
    lock = tmp_path / ".out.lock"
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.02)
    started = time.monotonic()
    with pytest.raises(OutputError, match=f"process {other.pid} on"), locked(tmp_path / "out"):
        pass
    assert time.monotonic() - started < 2
    other.kill()
    other.join()
    with locked(tmp_path / "out"):  # a killed holder holds nothing
        pass
    assert content(tmp_path) == []


def test_json_has_no_nan():
    assert to_json({"a": [float("nan"), 1.5, float("inf")]}) == '{\n  "a": [\n    null,\n    1.5,\n    null\n  ]\n}'
