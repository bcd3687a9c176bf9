"""Runs that are interrupted, and the comparison of one with a run that was not."""

import json

from mnfn_cli.errors import InterruptedRun
from mnfn_cli.runtime.context import Interruption

COMPARED = ("model.safetensors", "metrics.jsonl", "predictions.csv", "recipe.yaml")


def assert_same(run, uninterrupted):
    for name in COMPARED:
        assert (run / name).read_bytes() == (uninterrupted / name).read_bytes(), name
    result, expected = (json.loads((path / "result.json").read_text()) for path in (run, uninterrupted))
    for document in (result, expected):
        del document["seconds"]
    assert result == expected
    assert not (run / "checkpoints").exists()


class StopAfter(Interruption):
    """Asks to stop at the n-th time that it is asked."""

    def __init__(self, checks):
        super().__init__()
        self.left = checks

    def check(self, where, what_to_do):
        self.left -= 1
        if self.left < 0:
            raise InterruptedRun(where, f"interrupted; {what_to_do}")
