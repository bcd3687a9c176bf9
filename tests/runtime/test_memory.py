"""Freed memory stays with a process that asks for it, where the C library can."""

import ctypes
import platform
import subprocess
import sys

import pytest

from mnfn_cli.runtime.memory import keep_freed_memory

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
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has the settings")
def test_blocks_are_not_mapped_again():
    assert faults(keep=True) < faults(keep=False) / 10


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_another_c_library_is_left_alone(error, monkeypatch):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()
