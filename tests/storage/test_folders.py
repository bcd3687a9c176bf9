"""Outputs appear complete or not at all; old ones stay until the new one is complete; one writer at a time."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from mnfn_cli.errors import DataError, NumericError, OutputError, StorageError
from mnfn_cli.storage import folders as folders_module
from mnfn_cli.storage.atomic import replacing, to_json, write_text
from mnfn_cli.storage.folders import existing_folder, new_folder, recover
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.marks import MARK, State, mark, state_of
from mnfn_cli.storage.outputs import Output, check_outputs

BOX = Kind("box", lambda folder: frozenset({"box", "more"}) if (folder / "box").exists() else None)


class Killed(BaseException):
    """A stand-in for kill -9: nothing of ours handles it."""


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def box(path, text):
    path.mkdir()
    (path / "box").write_text(text)


def replace(output, text="new", **options):
    with new_folder(output, BOX, force=True, **options) as folder:
        (folder / "box").write_text(text)


def test_a_failed_file_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old" and content(tmp_path) == ["a"]


def test_a_folder_appears_when_complete(tmp_path):
    with new_folder(tmp_path / "out", BOX) as folder:
        (folder / "box").write_text("a")
        assert not (tmp_path / "out").exists() and folder.name == "out.mnfn-partial"
    assert content(tmp_path) == ["out"] and content(tmp_path / "out") == ["box"]


@pytest.mark.parametrize("continues", [False, True])
def test_a_failed_folder(tmp_path, continues):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", BOX, continues=continues) as folder:
        (folder / "box").write_text("a")
        raise RuntimeError
    assert content(tmp_path) == (["out.mnfn-partial"] if continues else [])
    if continues:
        with new_folder(tmp_path / "out", BOX, continues=True) as folder:
            assert (folder / "box").read_text() == "a"
        assert content(tmp_path) == ["out"] and content(tmp_path / "out") == ["box"]


def test_what_would_fail_again_is_not_kept(tmp_path):
    with pytest.raises(NumericError), new_folder(tmp_path / "out", BOX, continues=True):
        raise NumericError("fit", "not finite")
    assert content(tmp_path) == []


@pytest.mark.fault("M2")
def test_force_replaces_only_when_complete(tmp_path):
    box(tmp_path / "out", "old")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", BOX, force=True):
        raise RuntimeError
    assert (tmp_path / "out" / "box").read_text() == "old"
    replace(tmp_path / "out")
    assert (tmp_path / "out" / "box").read_text() == "new" and content(tmp_path) == ["out"]
    assert content(tmp_path / "out") == ["box"]


@pytest.mark.parametrize("step", range(14))
@pytest.mark.fault("K3")
def test_killed_between_any_two_steps_of_a_replacement(tmp_path, monkeypatch, step):
    """Whatever the instant, the next writer finds the old or the new output whole, and nothing else is left."""
    box(tmp_path / "out", "old")
    (tmp_path / "out.old").mkdir()
    calls = iter(range(100))

    def dying(function):
        def call(path, *args, **kwargs):
            # The kernel lets go of a dead process's lock; here the process lives on.
            if path.suffix != ".mnfn-lock" and next(calls) == step:
                raise Killed
            return function(path, *args, **kwargs)

        return call

    for name in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(type(tmp_path), name, dying(getattr(type(tmp_path), name)))
    monkeypatch.setattr(folders_module, "mark", dying(folders_module.mark))
    try:
        replace(tmp_path / "out")
        killed = False
    except Killed:
        killed = True
    monkeypatch.undo()
    assert killed or step >= 11  # eleven steps: every one of them was the last before a kill
    with locked(tmp_path / "out"):
        recover(tmp_path / "out", BOX)
    assert (tmp_path / "out" / "box").read_text() in ("old", "new")
    replace(tmp_path / "out", "third")
    assert (tmp_path / "out" / "box").read_text() == "third"
    assert content(tmp_path / "out") == ["box"] and content(tmp_path) == ["out", "out.old"]


def test_readers_change_nothing_and_say_what_they_find(tmp_path):
    box(tmp_path / "out.mnfn-replaced", "old")
    with pytest.raises(DataError, match="no such box"):
        existing_folder(tmp_path / "out", "box")  # unmarked: the user's own
    mark(tmp_path / "out.mnfn-replaced", State.REPLACED, tmp_path / "out")
    with pytest.raises(DataError, match=r"waits as out\.mnfn-replaced"):
        existing_folder(tmp_path / "out", "box")
    assert content(tmp_path) == ["out.mnfn-replaced"]
    with locked(tmp_path / "out"):
        recover(tmp_path / "out", BOX)
    assert content(tmp_path) == ["out"] and content(tmp_path / "out") == ["box"]


@pytest.mark.parametrize("name", ["out.mnfn-partial", "out.mnfn-replaced"])
@pytest.mark.parametrize("other", [None, {"mnfn": "growing", "output": "another"}, {"mnfn": 3}, []])
@pytest.mark.fault("H1")
def test_what_carries_no_mark_of_ours_is_in_the_way(tmp_path, name, other):
    box(tmp_path / name, "mine")
    if other is not None:
        (tmp_path / name / MARK).write_text(json.dumps(other))
    before = content(tmp_path / name)
    with pytest.raises(OutputError, match="not of mnfn's making"):
        replace(tmp_path / "out")
    assert content(tmp_path) == [name] and content(tmp_path / name) == before


def test_a_copied_output_is_never_taken_for_one_of_ours(tmp_path):
    """A copy of a growing folder under another name carries a mark for the first name only."""
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", BOX, continues=True) as folder:
        (folder / "box").write_text("a")
        raise RuntimeError
    shutil.copytree(folder, tmp_path / "two.mnfn-partial")
    assert state_of(tmp_path / "two.mnfn-partial", tmp_path / "two") is None
    with pytest.raises(OutputError, match="not of mnfn's making"):
        replace(tmp_path / "two", continues=True)


def test_outputs_that_collide(tmp_path):
    source = tmp_path / "zoo"
    box(source, "old")
    for output in (source, source / "inside", tmp_path):
        with pytest.raises(OutputError, match="input"):
            check_outputs([Output(output, BOX)], [source], force=True)
    check_outputs([Output(tmp_path / "zoo2", BOX)], [source])
    for one, other in (("m", "m/x.png"), ("m/x.png", "m"), ("m", "m")):
        with pytest.raises(OutputError, match="other output"):
            check_outputs([Output(tmp_path / one, BOX), Output(tmp_path / other)])
    with pytest.raises(OutputError, match="part of the box zoo"):
        check_outputs([Output(source / "box")], force=True, kinds=(BOX,))


def test_force_replaces_the_same_kind_only(tmp_path):
    box(tmp_path / "zoo", "old")
    (tmp_path / "file").write_text("text")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "zoo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    check_outputs([Output(tmp_path / "zoo", BOX)], force=True)
    check_outputs([Output(tmp_path / "file")], force=True)
    for name in ("file", "thesis", "link", "dangling", "pipe"):
        with pytest.raises(OutputError):
            check_outputs([Output(tmp_path / name, BOX)], force=True)
    for name in ("zoo", "thesis", "link", "dangling", "pipe"):
        with pytest.raises(OutputError):
            check_outputs([Output(tmp_path / name)], force=True)
    for foreign in ("thesis.txt", ".hidden"):
        (tmp_path / "zoo" / foreign).write_text("years of work")
        with pytest.raises(OutputError, match="is not mnfn's"):
            check_outputs([Output(tmp_path / "zoo", BOX)], force=True)
        (tmp_path / "zoo" / foreign).unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.fault("D4")
def test_read_only_folders_are_found_before_the_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        check_outputs([Output(tmp_path / "out", BOX)])
    tmp_path.chmod(0o700)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        check_outputs([Output(tmp_path / "file" / "out", BOX)])
    with pytest.raises(DataError, match="is a file"):
        existing_folder(tmp_path / "file", "zoo")


HOLD = """
import pathlib, sys, time
from mnfn_cli.storage.locks import locked

with locked(pathlib.Path(sys.argv[1])):
    time.sleep(60)
"""


@pytest.mark.fault("M1")
def test_the_second_writer_is_told_who_holds_it(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out"])
    lock = tmp_path / ".out.mnfn-lock"
    while not (lock.exists() and lock.read_text()):
        assert other.poll() is None
        time.sleep(0.02)
    started = time.monotonic()
    with pytest.raises(OutputError, match=f"process {other.pid} on"), locked(tmp_path / "out"):
        pass
    assert time.monotonic() - started < 2
    other.kill()
    other.wait()
    with locked(tmp_path / "out"):  # a killed holder holds nothing
        pass
    assert content(tmp_path) == []


@pytest.mark.parametrize("text", ["my notes", "process 1 on host"])
def test_a_lock_that_is_the_users_file(tmp_path, text):
    (tmp_path / ".out.mnfn-lock").write_text(text)
    with pytest.raises(OutputError, match="not a lock of mnfn"), locked(tmp_path / "out"):
        pass
    assert (tmp_path / ".out.mnfn-lock").read_text() == text


@pytest.mark.fault("N7")
def test_json_has_no_nan():
    document = {"a": [float("nan"), 1.5, float("inf")]}
    assert json.loads(to_json(document)) == {"a": [None, 1.5, None], "not_finite": ["a.0", "a.2"]}
