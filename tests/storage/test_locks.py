"""No file of the user's serves as a lock, or goes with one."""

import os

import pytest

from mnfn_cli.errors import OutputError
from mnfn_cli.storage.locks import locked


def test_what_is_no_lock_is_left_alone(tmp_path):
    lock, mine = tmp_path / ".out.mnfn-lock", tmp_path / "mine"
    mine.write_text("mine")
    for make in (
        lambda: lock.write_text("mnfn: process 1 on host\nmine"),
        lock.mkdir,
        lambda: os.mkfifo(lock),
        lambda: lock.symlink_to("mine"),
        lambda: lock.symlink_to("nothing"),
    ):
        make()
        with pytest.raises(OutputError, match=r"\.out\.mnfn-lock: is in the way"), locked(tmp_path / "out"):
            pass
        assert sorted(tmp_path.iterdir()) == [lock, mine] and mine.read_text() == "mine"
        lock.rmdir() if lock.is_dir() and not lock.is_symlink() else lock.unlink()


def test_an_empty_file_serves_and_stays(tmp_path):
    lock = tmp_path / ".out.mnfn-lock"
    lock.write_text("")
    with locked(tmp_path / "out"):
        with pytest.raises(OutputError, match="in use by another process"), locked(tmp_path / "out"):
            pass
        assert lock.read_text() == ""
    assert lock.exists()


def test_a_lock_that_a_killed_process_left_goes(tmp_path):
    (tmp_path / ".out.mnfn-lock").write_text("mnfn: process 1 on host\n")
    with locked(tmp_path / "out"):
        assert f"process {os.getpid()} on" in (tmp_path / ".out.mnfn-lock").read_text()
    assert not list(tmp_path.iterdir())
