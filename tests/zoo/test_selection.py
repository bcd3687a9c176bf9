"""Zoos with other splits, of several zoos, or of some networks only."""

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnfn_cli.cli.import_values import read_fractions
from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo import plan as plan_module
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.selection import plan_filter, plan_merge, plan_split, rows_where
from mnfn_cli.zoo.single_files import read_network
from mnfn_cli.zoo.splits import join_groups
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.verification import verify_zoo
from mnfn_cli.zoo.writer import save_zoo

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


@pytest.fixture
def both(digits_zoo, tanh_zoo, inr_zoo, tmp_path):
    """A zoo of ReLU networks, tanh networks and INRs."""
    return write_plan(plan_merge([digits_zoo, tanh_zoo, inr_zoo]), tmp_path / "both")


def rows_by_space(zoo):
    return {part.spaces[0].name: part for part in zoo.parts}


def test_a_merged_zoo_holds_every_network_of_its_sources(both, digits_zoo, tanh_zoo, inr_zoo):
    sources = [digits_zoo, tanh_zoo, inr_zoo]
    assert verify_zoo(both.path) == [] and len(both) == sum(map(len, sources))
    for part, source in zip(both.parts, sources, strict=True):
        assert part.spec == source.spec
        assert torch.equal(part.read().flatten(), source.read().flatten())
        assert part.table["split"].to_list() == source.table["split"].to_list()
        assert part.ids == [f"{source.path.name}-{name}" for name in source.ids]
    assert both.record.fit == {} and both.pictures() is None
    assert both.table.filter(pl.col("test_accuracy").is_null()).height == len(inr_zoo)


def test_zoos_of_one_weight_space_merge_into_one(digits_zoo, tmp_path):
    copies = augment_zoo(digits_zoo, tmp_path / "copies").zoo
    merged = write_plan(plan_merge([digits_zoo, copies]), tmp_path / "merged")
    assert len(merged.spaces) == 1 and merged.spec == digits_zoo.spec
    assert merged.ids == [*digits_zoo.ids, *copies.ids]  # they did not collide
    assert torch.equal(merged.read(slice(len(digits_zoo), None)).flatten(), copies.read().flatten())


def test_ids_stay_unique_whatever_the_names_of_the_zoos(tmp_path):
    spec = NetworkSpec.mlp([2, 3, 1], "relu")
    zoos = [
        save_zoo(tmp_path / name, spec, WeightSpaceFeatures.randn(spec, 2), {"id": ids, "split": ["test"] * 2})
        for name, ids in (("a", ["b-1", "1"]), ("a-b", ["1", "2"]))
    ]
    merged = write_plan(plan_merge(zoos), tmp_path / "merged")
    assert merged.ids == ["1-a-b-1", "1-a-1", "2-a-b-1", "2-a-b-2"]


def test_merged_inrs_keep_their_pictures_and_their_fit(inr_zoo, tmp_path):
    halves = [
        write_plan(plan_filter(inr_zoo, f"id {sign} '0500'"), tmp_path / name)
        for sign, name in (("<", "low"), (">=", "high"))
    ]
    assert 0 < len(halves[0]) < len(inr_zoo) and sum(map(len, halves)) == len(inr_zoo)
    merged = write_plan(plan_merge(halves), tmp_path / "merged")
    assert merged.record.fit == inr_zoo.record.fit
    for zoo in (*halves, merged):
        rows = [inr_zoo.ids.index(name) for name in zoo.ids]
        assert torch.equal(zoo.pictures_of(), inr_zoo.pictures_of(rows))
        assert torch.equal(zoo.read().flatten(), inr_zoo.read(rows).flatten())


def test_pictures_that_differ_under_one_name_are_told_apart(inr_zoo, tmp_path):
    other = write_plan(plan_filter(inr_zoo, "id <> ''"), tmp_path / "other")
    tampered = other.pictures
    other.pictures = lambda: (tampered()[0], -tampered()[1])
    merged = write_plan(plan_merge([inr_zoo, other]), tmp_path / "merged")
    assert torch.equal(merged.pictures_of(), torch.cat([inr_zoo.pictures_of(), -inr_zoo.pictures_of()]))
    assert merged.table["image_id"].n_unique() == 2 * inr_zoo.table["image_id"].n_unique()


def test_a_merge_says_that_networks_of_one_picture_are_in_several_splits(inr_zoo, digits_zoo, tmp_path):
    other = write_plan(plan_split(inr_zoo, {"train": 0.0, "val": 0.0, "test": 1.0}, 0), tmp_path / "other")
    torn = inr_zoo.table.filter(pl.col("split") != "test")["image_id"].n_unique()
    assert any(
        f"{torn} pictures or sources have networks in several" in note for note in plan_merge([inr_zoo, other]).notes
    )
    copies = augment_zoo(digits_zoo, tmp_path / "copies").zoo
    assert not plan_merge([digits_zoo, copies]).notes
    moved = write_plan(plan_split(copies, {"train": 0.0, "val": 0.0, "test": 1.0}, 0), tmp_path / "moved")
    assert any("in several splits" in note for note in plan_merge([digits_zoo, moved]).notes)


def test_what_cannot_be_merged_is_refused(digits_zoo, inr_zoo, tmp_path):
    for zoos in ([digits_zoo], [digits_zoo, digits_zoo]):
        with pytest.raises(UsageError, match="two different zoos"):
            plan_merge(zoos)
    text = write_plan(plan_filter(digits_zoo, "id <> ''"), tmp_path / "text")
    text.table = text.table.with_columns(pl.lit("high").alias("test_accuracy"))
    with pytest.raises(DataError, match=r"table.csv:test_accuracy: is text here and a number"):
        plan_merge([digits_zoo, text])
    other = write_plan(plan_filter(inr_zoo, "id <> ''"), tmp_path / "other")
    other.record = other.record.changed(made=other.record.made.changed(size=(9, 9)))
    with pytest.raises(DataError, match="another size of pictures"):
        plan_merge([inr_zoo, other])


def test_copies_and_networks_of_one_picture_stay_in_one_split(digits_zoo, inr_zoo, tmp_path):
    copies = augment_zoo(digits_zoo, tmp_path / "copies", copies=2, keep_original=True).zoo
    for source, column in ((copies, "source_id"), (inr_zoo, "image_id")):
        new = write_plan(plan_split(source, SHARES, seed=3), tmp_path / column)
        assert torch.equal(new.read().flatten(), source.read().flatten()) and new.ids == source.ids
        splits = new.table.group_by(column).agg(pl.col("split").n_unique())["split"]
        assert splits.max() == 1
        groups = source.table[column].n_unique()
        counts = new.table.unique(column)["split"].value_counts()
        shares = dict(zip(counts["split"].to_list(), counts["count"].to_list(), strict=True))
        assert all(abs(shares[name] - share * groups) <= 1 for name, share in SHARES.items())
    assert plan_split(copies, SHARES, seed=3).table.equals(plan_split(copies, SHARES, seed=3).table)
    assert not plan_split(copies, SHARES, seed=4).table.equals(plan_split(copies, SHARES, seed=3).table)


def test_twins_that_are_given_stay_together(digits_zoo):
    ids = digits_zoo.ids
    twins = [(ids[0], ids[5]), (ids[5], ids[9])]
    for seed in range(10):
        table = plan_split(digits_zoo, SHARES, seed, twins).table
        assert len({table["split"][row] for row in (0, 5, 9)}) == 1


@given(
    links=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12),
)
def test_groups_are_the_components_of_the_graph(links):
    groups = join_groups(10, links)
    reach = [{row} for row in range(10)]
    for _ in range(10):
        for a, b in links:
            reach[a] |= reach[b]
            reach[b] |= reach[a]
    assert all((groups[a] == groups[b]) == (b in reach[a]) for a in range(10) for b in range(10))
    assert sorted(set(groups)) == list(range(max(groups) + 1))


def test_a_filter_keeps_exactly_the_rows_that_fulfil_it(both, tmp_path):
    new = write_plan(plan_filter(both, "test_accuracy > 0.4 AND split <> 'val'"), tmp_path / "new")
    expected = both.table.filter((pl.col("test_accuracy") > 0.4) & (pl.col("split") != "val"))
    assert new.ids == expected["id"].to_list() and len(new.spaces) == 2
    assert verify_zoo(new.path) == []
    for part, source in zip(new.parts, both.parts[:2], strict=True):
        rows = [source.ids.index(name) for name in part.ids]
        assert torch.equal(part.read().flatten(), source.read(rows).flatten())


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("acuracy > 0.5", "names no column of the table; it has id, "),
        ("test_accuracy >", "is no condition"),
        ("test_accuracy", "not true or false"),
        ("test_accuracy > 'x'", "is no condition"),
        ("read_csv('/etc/passwd') > 1", "is no condition"),
        ("__import__('os').system('true')", "is no condition"),
        ("select 1", "is no condition"),
        ("1 = 1", "not true or false"),
        ("test_accuracy > 2", "no network"),
        ("", "is no condition"),
        (" or ".join(["split = 'test'"] * 10_000), "more than 100 operators"),
    ],
)
def test_conditions_that_cannot_be_used_are_refused(digits_zoo, condition, problem):
    with pytest.raises(UsageError, match=problem):
        plan_filter(digits_zoo, condition)


def test_a_list_of_values_may_be_long():
    table = pl.DataFrame({"id": ["a-or-b", "n-7"]})
    names = ", ".join(f"'n-{i}'" for i in range(5000))
    assert rows_where(table, f"id in ({names})") == [1]


def test_a_condition_that_is_unknown_for_a_network_leaves_it_out():
    table = pl.DataFrame({"a": [1.0, None, 3.0]})
    assert rows_where(table, "a > 0") == [0, 2] and rows_where(table, "a IS NULL") == [1]


@pytest.mark.parametrize("text", ["70/30", "70/10/30", "a/b/c", "-10/50/60", "70/10/20/0", "nan/50/50", ""])
def test_shares_are_three_percentages(text):
    with pytest.raises(UsageError, match="such as 70/10/20"):
        read_fractions("TRAIN/VAL/TEST", text)


class StopAfter(Context().interruption.__class__):
    """Interrupts at the n-th check."""

    def __init__(self, checks):
        super().__init__()
        self._left = checks

    def check(self, where, what_to_do):
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt


def test_an_interrupted_copy_goes_on_to_the_same_bytes(both, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_module, "BLOCK_BYTES", 200_000)
    monkeypatch.setattr("mnfn_cli.zoo.writer.MAX_SHARD_BYTES", 400_000)
    plan = plan_filter(both, "split <> 'test'")
    whole = write_plan(plan, tmp_path / "whole")
    for checks in range(1, 8):
        with pytest.raises(KeyboardInterrupt):
            write_plan(plan, tmp_path / "again", context=Context(interruption=StopAfter(checks)))
        assert not (tmp_path / "again").exists()
    write_plan(plan, tmp_path / "again")
    for file in whole.record.files:
        assert (whole.path / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "both", "whole"]


def test_a_zoo_of_several_weight_spaces_is_augmented_with_the_group_of_each(both, tmp_path):
    report = augment_zoo(both, tmp_path / "moved", copies=2, keep_original=True)
    assert report.largest_error < 1e-4 and len(report.zoo) == 3 * len(both)
    assert verify_zoo(report.zoo.path) == []
    for part, source in zip(report.zoo.parts, both.parts, strict=True):
        count = len(source)
        assert part.ids == [*source.ids, *(f"{name}-g{copy}" for copy in (1, 2) for name in source.ids)]
        shape = (32, source.spec.widths[0], 16, 16) if source.spec.kernels else (32, source.spec.widths[0])
        inputs = torch.rand(shape, dtype=torch.float64)
        outputs = run_networks(part.spec, part.read().to(dtype=torch.float64), inputs)
        assert not torch.equal(part.read(slice(count, 2 * count)).flatten(), source.read().flatten())
        torch.testing.assert_close(outputs[count:], outputs[:count].repeat(2, 1, 1), rtol=1e-3, atol=1e-3)
    assert open_zoo(report.zoo.path).table["relative_error"].max() == report.largest_error


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_every_weight_space_is_exported(both, tmp_path, suffix):
    assert export_zoo(both, tmp_path / "files", suffix=suffix, limit=len(both) - 1) == len(both) - 1
    part = both.parts[1]
    features, single = read_network(tmp_path / "files" / f"{part.ids[0]}{suffix}", part.spec)
    assert torch.equal(features.flatten(), part.read([0]).flatten())
    assert ("spec" in single.metadata) == (suffix == ".safetensors")
    with pytest.raises(UsageError, match="not imported from files"):
        export_zoo(both, tmp_path / "more", original_names=True)
