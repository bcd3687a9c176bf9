"""Files appear complete under their name or not at all, and replace nothing but regular files."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import is_temporary, remove_temporaries, replacing, write_text
from mnfn_cli.storage.tensors import save_tensors


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_file_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old" and content(tmp_path) == ["a"]
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new" and content(tmp_path) == ["a"]


def test_a_temporary_takes_no_name_that_is_taken(tmp_path):
    taken = tmp_path / f".a.{os.getpid()}.mnfn-tmp"
    (tmp_path / "elsewhere").write_text("mine")
    taken.symlink_to("elsewhere")
    write_text(tmp_path / "a", "new")
    save_tensors(tmp_path / "a", {"x": torch.zeros(2)})
    assert (tmp_path / "elsewhere").read_text() == "mine" and taken.is_symlink()
    assert len(content(tmp_path)) == 3


@pytest.mark.fault("H2")
def test_only_regular_files_are_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    before = content(tmp_path)
    for name in ("folder", "pipe", "link", "dangling"):
        with pytest.raises(OutputError, match="no regular file"):
            write_text(tmp_path / name, "new")
    assert content(tmp_path) == before and (tmp_path / "file").read_text() == "mine"


def test_only_temporaries_are_removed(tmp_path):
    for name in (".a.12.mnfn-tmp", ".a.12-1.mnfn-tmp", ".mine.mnfn-tmp", "a.12.mnfn-tmp", ".a.12.tmp", ".tmpAbC123"):
        (tmp_path / name).write_text("")
    for folder, names in {".b": ["content", ".tmpAbC123"], ".c": [], ".d": ["content", "thesis"]}.items():
        (tmp_path / f"{folder}.12.mnfn-tmp").mkdir()
        for name in names:
            (tmp_path / f"{folder}.12.mnfn-tmp" / name).write_text("")
    (tmp_path / ".e.12.mnfn-tmp").symlink_to("nothing")
    remove_temporaries(tmp_path)
    assert content(tmp_path) == [
        ".a.12.tmp", ".d.12.mnfn-tmp", ".e.12.mnfn-tmp", ".mine.mnfn-tmp", ".tmpAbC123", "a.12.mnfn-tmp",
    ]  # fmt: skip
    assert content(tmp_path / ".d.12.mnfn-tmp") == ["content", "thesis"]


def test_tensors_that_a_kill_cuts_short_leave_temporaries_only(tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from mnfn_cli.storage.tensors import save_tensors\n"
        "while True: save_tensors(Path(sys.argv[1]) / 'a.safetensors', {'x': torch.zeros(4_000_000)})"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    while process.poll() is None:
        with suppress(FileNotFoundError):  # it came and went
            if list(tmp_path.glob(".a*")):
                process.send_signal(signal.SIGKILL)
                process.wait()
    strays = [path for path in tmp_path.iterdir() if path.name != "a.safetensors"]
    assert all(map(is_temporary, strays))
    remove_temporaries(tmp_path)
    assert content(tmp_path) in ([], ["a.safetensors"])


@pytest.mark.fault("H6", "D1")
def test_a_full_disk_under_tensors(tmp_path):
    with pytest.raises(StorageError, match="cannot write: No such file"):
        save_tensors(tmp_path / "gone" / "a.safetensors", {"x": torch.zeros(2)})
    script = (
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from mnfn_cli.storage.tensors import save_tensors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "save_tensors(Path(sys.argv[1]) / 'a.safetensors', {'x': torch.zeros(100_000)})"
    )
    failed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert failed.stderr.splitlines()[-1].endswith("a.safetensors: cannot write: File too large")
    assert content(tmp_path) == []
