"""Freed memory stays with a process that asks for it, where the C library can."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mnfn_cli.runtime.memory import HUGE_PAGES, keep_freed_memory

PROGRAM = """
import resource
import torch
from mnfn_cli.runtime.memory import keep_freed_memory

if {keep}:
    keep_freed_memory()


def fill():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(10_000_000) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


print([fill() for _ in range(20)][-1])
"""


def faults(keep):
    """Count the faults of pages of usual size."""
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    environment = os.environ | {HUGE_PAGES: "0"}
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has the settings")
def test_blocks_are_not_mapped_again():
    assert faults(keep=True) < faults(keep=False) / 10


HUGE = """
import torch
from mnfn_cli.runtime.memory import keep_freed_memory

keep_freed_memory()
block = torch.ones(10_000_000)
flags = None
for line in open("/proc/self/smaps"):
    name = line.split()[0]
    if "-" in name:
        start, end = (int(number, 16) for number in name.split("-"))
    elif name == "VmFlags:" and start <= block.data_ptr() + 2**22 < end:
        flags = line.split()
print("hg" in flags)
"""
PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not PAGES.exists() or "[never]" in PAGES.read_text(), reason="the system has no huge pages")
@pytest.mark.parametrize(("chosen", "huge"), [(None, "True"), ("0", "False")])
def test_large_blocks_have_huge_pages_unless_the_user_wants_none(chosen, huge):
    environment = {name: value for name, value in os.environ.items() if name != HUGE_PAGES}
    environment |= {} if chosen is None else {HUGE_PAGES: chosen}
    done = subprocess.run([sys.executable, "-c", HUGE], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == huge


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_another_c_library_is_left_alone(error, monkeypatch):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()
