"""A world for each process of pytest, and the counts that `make crash` prints."""

from collections import Counter

import pytest
from world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter):
    counts = Counter()
    for report in terminalreporter.getreports("passed"):
        counts.update({name: count for name, count in report.user_properties if name.startswith("count ")})
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count} {name.removeprefix('count ')}")
