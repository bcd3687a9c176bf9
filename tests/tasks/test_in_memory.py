"""Training and prediction read a zoo block by block, and give what networks in memory give."""

import numpy as np
import pytest
import torch
from interrupted_runs import StopAfter, assert_same

from mnfn_cli.errors import InterruptedRun
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.tasks import data, order
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.batch_loss import BatchLoss
from mnfn_cli.tasks.data import fit_in_memory, load_split
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.functional import BLOCK
from mnfn_cli.tasks.order import random_order
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.weightspace.lazy import LazyFeatures
from mnfn_cli.zoo import weights
from mnfn_cli.zoo.writer import save_zoo


def make_recipe(zoo, *overrides):
    smaller = ["model.channels=[4,2]", "model.head=[8,8]", "training.epochs=3", f"data.zoo=['{zoo.path}']"]
    return load_recipe("generalization/relu-monomial", [*smaller, *overrides])


def drawn(count, seed, by_blocks=True):
    return random_order(count, torch.Generator().manual_seed(seed), by_blocks=by_blocks)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 20_000])
@pytest.mark.parametrize("by_blocks", [False, True])
def test_every_network_is_used_once_in_an_order_of_the_seed(count, by_blocks):
    found = drawn(count, 0, by_blocks)
    assert torch.equal(found.sort().values, torch.arange(count))
    if count > 1:
        assert torch.equal(found, drawn(count, 0, by_blocks))
        assert not torch.equal(found, drawn(count, 1, by_blocks))


def test_an_order_by_blocks_needs_few_places_and_mixes_them():
    found, together = drawn(100_000, 0).numpy(), order.BLOCK * order.TOGETHER
    for start in range(0, 100_000 - together, together):
        stretch = found[start : start + together]
        assert len(set((stretch // order.BLOCK).tolist())) <= order.TOGETHER + 1
        assert np.abs(np.diff(stretch)).mean() > 10 * order.BLOCK, "neighbours follow one another"
    # Where memory holds all networks, a stretch comes from everywhere.
    everywhere = drawn(100_000, 0, by_blocks=False).numpy()[:together] // order.BLOCK
    assert len(set(everywhere.tolist())) > 10 * order.TOGETHER


def test_small_zoos_keep_the_order_of_before(digits_zoo, monkeypatch):
    recipe = make_recipe(digits_zoo)
    assert fit_in_memory(recipe, [digits_zoo], frozenset())
    assert torch.equal(drawn(28, 5, by_blocks=False), torch.randperm(28, generator=torch.Generator().manual_seed(5)))
    train = len(digits_zoo.rows("train")) * 4 * digits_zoo.spec.num_parameters
    monkeypatch.setattr(data, "LARGEST_IN_MEMORY", train)
    assert fit_in_memory(recipe, [digits_zoo], frozenset())
    monkeypatch.setattr(data, "LARGEST_IN_MEMORY", train - 1)
    assert not fit_in_memory(recipe, [digits_zoo], frozenset())
    first = digits_zoo.ids[digits_zoo.rows("train")[0]]
    assert fit_in_memory(recipe, [digits_zoo], frozenset({(str(digits_zoo.path), first)}))
    assert not fit_in_memory(make_recipe(digits_zoo, "training.in_memory=false"), [digits_zoo], frozenset())
    assert fit_in_memory(make_recipe(digits_zoo, "training.in_memory=true"), [digits_zoo], frozenset())


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_epoch_uses_every_network_once(digits_zoo, in_memory):
    class Recorder:
        recipe = make_recipe(digits_zoo)

        def __init__(self):
            self.seen = []

        def loss(self, model, features, targets, where):
            self.seen.append((features.biases[-1][:, 0], targets))

    def targets(zoo, rows):
        return torch.tensor(rows).float()

    split = load_split([digits_zoo], "train", targets)
    task = Recorder()
    loss = BatchLoss(task, None, split.in_memory() if in_memory else split, 8, 4, by_blocks=not in_memory)
    for step in (4, 5, 6, 7):
        loss(step)
    rows = torch.cat([targets for _, targets in task.seen]).long()
    assert sorted(rows.tolist()) == digits_zoo.rows("train")
    assert torch.equal(torch.cat([biases for biases, _ in task.seen]), digits_zoo.read().biases[-1][rows, 0])


def test_a_run_that_reads_batches_resumes_to_the_same_bytes(digits_zoo, tmp_path):
    recipe = make_recipe(digits_zoo, "training.in_memory=false")
    train_run(recipe, tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        train_run(recipe, tmp_path / "run", context=Context(interruption=StopAfter(6)))
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_in_memory_or_not_one_batch_learns_the_same(digits_zoo, tmp_path, monkeypatch):
    """With the order of one, both ways see the same batches."""
    monkeypatch.setattr("mnfn_cli.tasks.batch_loss.random_order", lambda count, random, by_blocks: torch.arange(count))
    for name in ("true", "false"):
        train_run(make_recipe(digits_zoo, f"training.in_memory={name}"), tmp_path / name)
    for file in ("model.safetensors", "metrics.jsonl", "predictions.csv", "calibration.safetensors"):
        if (tmp_path / "true" / file).exists():
            assert (tmp_path / "true" / file).read_bytes() == (tmp_path / "false" / file).read_bytes(), file


@pytest.fixture
def many(digits_zoo, tmp_path):
    """A zoo of 1,200 networks in several shards, most of them copies."""
    zoo, copies = digits_zoo, 30
    features = zoo.read().select(list(range(40)) * copies)
    table = {"id": [f"n{row}" for row in range(40 * copies)], "split": zoo.table["split"].to_list() * copies}
    table["test_accuracy"] = zoo.table["test_accuracy"].to_list() * copies
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mnfn_cli.zoo.writer.ShardWriter.__init__.__defaults__", (None, 2**22))
        return save_zoo(tmp_path / "many", zoo.spec, features, table)


@pytest.fixture
def reads(monkeypatch):
    """The numbers of networks that are read at a time."""
    counts, real = [], weights.read_pieces

    def counted(sources, starts, rows, dtype):
        counts.append(len(rows))
        return real(sources, starts, rows, dtype)

    monkeypatch.setattr(weights, "read_pieces", counted)
    return counts


@pytest.mark.parametrize("split", [None, "train"])
def test_predict_reads_a_block_at_a_time(many, relu_run, reads, split):
    applied = apply_run(relu_run, many.path, split=split)
    assert len([name for name in many.record.files if name.startswith("weights")]) > 1
    assert reads and max(reads) <= BLOCK < len(many.rows(split))
    run, rows = load_run(relu_run), many.rows(split)
    eager = many.read(rows).map(torch.clone)
    assert not isinstance(eager, LazyFeatures)
    assert torch.equal(applied.answers, run.predict(eager))
    assert applied.names == [many.ids[row] for row in rows]


def test_evaluate_moves_a_block_at_a_time(many, tmp_path, reads, monkeypatch):
    train_run(make_recipe(many, "training.epochs=1"), tmp_path / "run")
    reads.clear()
    for module in ("functional", "familiarity"):
        monkeypatch.setattr(f"mnfn_cli.tasks.{module}.BLOCK", 64)
    evaluation = evaluate_runs([load_run(tmp_path / "run")], [(1.0, 10.0)])
    assert len(evaluation.rows) == 2 and evaluation.count > 64
    assert max(reads) == 64


def test_a_training_from_the_zoo_reads_a_batch_at_a_time(many, tmp_path, reads, monkeypatch):
    monkeypatch.setattr("mnfn_cli.tasks.training.PREPARED", 200)
    monkeypatch.setattr("mnfn_cli.tasks.familiarity.MOST", 200)
    train_run(make_recipe(many, "training.in_memory=false", "training.epochs=1"), tmp_path / "run")
    assert max(reads) <= BLOCK
    assert reads.count(8) == len(many.rows("train")) // 8
    reads.clear()
    train_run(make_recipe(many, "training.in_memory=true", "training.epochs=1"), tmp_path / "whole")
    assert max(reads) >= len(many.rows("train"))


def test_the_table_is_written_in_pieces(many, relu_run, tmp_path, monkeypatch):
    monkeypatch.setattr("mnfn_cli.zoo.table.ROWS_AT_ONCE", 100)
    applied = apply_run(relu_run, many.path)
    applied.write_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == applied.to_csv()
    assert applied.to_csv().count("\n") == 1201
