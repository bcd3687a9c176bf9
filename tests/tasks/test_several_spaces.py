"""Runs on zoos of several weight spaces: trained, resumed, saved, evaluated and applied; refusals before training."""

import json

import polars as pl
import pytest
import torch

from mnfn_cli import load_run, open_zoo
from mnfn_cli.errors import DataError, InterruptedRun, RecipeError, UsageError
from mnfn_cli.recipe import MODELS, load_recipe
from mnfn_cli.runtime.context import Context, Interruption, Progress
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.metrics import kendall_tau
from mnfn_cli.tasks.sweep import plan_sweep, run_sweep
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.writer import save_zoo

SPECS = [
    NetworkSpec.cnn([1, 4, 5], outputs=3, activation="tanh"),
    NetworkSpec.cnn([1, 3, 4], outputs=3, activation="relu"),
    NetworkSpec.cnn([1, 5, 6], outputs=3, activation="relu"),
]
"""In the order of the zoo; a run has them with ReLU before tanh, and the narrow before the wide."""

SMALL = ["model.channels=[4,2]", "model.head=[8,8]", "training.epochs=3", "training.batch_size=4", "model.dropout=0.2"]
COMPARED = ("model.safetensors", "metrics.jsonl", "predictions.csv", "recipe.yaml")


class Notes(Progress):
    """Keeps the notes of a job."""

    def __init__(self):
        self.lines = []

    def start(self, *args):
        """Do nothing."""

    def advance(self, *args, **kwargs):
        """Do nothing."""

    def note(self, text):
        """Keep the note."""
        self.lines.append(text)


def make_zoo(path, specs, each=14, **columns):
    """A zoo of random networks with random accuracies; the weight spaces take turns in its table."""
    generator = torch.Generator().manual_seed(len(specs))
    count, several = each * len(specs), len(specs) > 1
    table = {
        "id": [f"n{i:02d}" for i in range(count)],
        "split": [["train", "train", "val", "test"][i // len(specs) % 4] for i in range(count)],
        "test_accuracy": torch.rand(count, generator=generator).tolist(),
    }
    table |= {"weight_space": [str(i % len(specs) + 1) for i in range(count)]} if several else {}
    networks = [WeightSpaceFeatures.randn(spec, each, generator=generator) for spec in specs]
    return save_zoo(path, spaces_of([(spec, None) for spec in specs]), networks, table | columns)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("mixed") / "zoo", SPECS)


def recipe_on(*zoos, name="mixed-monomial", overrides=SMALL):
    paths = [str(zoo.path) for zoo in zoos]
    return load_recipe(f"generalization/{name}", [*overrides, f"data.zoo={json.dumps(paths)}"])


@pytest.fixture(scope="module")
def run(zoo, tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed-run") / "run"
    train_run(recipe_on(zoo, overrides=[*SMALL, "augment.scale=[1,10]"]), path)
    return path


def test_the_run_says_what_it_reads(run, zoo):
    record = json.loads((run / "run.json").read_text())
    assert record["format"] == 3 and "spec" not in record
    order = [1, 2, 0]
    assert [NetworkSpec.from_json(spec) for spec in record["specs"]] == [SPECS[i] for i in order]
    result = json.loads((run / "result.json").read_text())
    table = pl.read_csv(run / "predictions.csv")
    assert table["network"].to_list() == [zoo.ids[row] for row in zoo.rows("test")]
    for entry, i in zip(result["by_weight_space"], order, strict=True):
        own = table.filter(pl.col("weight_space") == str(SPECS[i]))
        assert NetworkSpec.from_json(entry["spec"]) == SPECS[i] and entry["networks"] == own.height == 3
        tau = kendall_tau(own["predicted_accuracy"].to_numpy(), own["true_accuracy"].to_numpy())
        assert entry["test"]["tau"]["value"] == pytest.approx(tau)
    assert result["parameters"] == sum(tensor.numel() for tensor in read_tensors(run / "model.safetensors")[0].values())


class StopAfter(Interruption):
    """Asks to stop at the n-th time that it is asked."""

    def __init__(self, checks):
        super().__init__()
        self.left = checks

    def check(self, where, what_to_do):
        self.left -= 1
        if self.left < 0:
            raise InterruptedRun(where, what_to_do)


@pytest.mark.parametrize("checks", [0, 3, 6, 9])
def test_resumed_to_the_same_bytes(zoo, run, tmp_path, checks):
    recipe = recipe_on(zoo, overrides=[*SMALL, "augment.scale=[1,10]"])
    with pytest.raises(InterruptedRun):
        train_run(recipe, tmp_path / "run", context=Context(interruption=StopAfter(checks)))
    resume_run(tmp_path / "run")
    for name in COMPARED:
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name


def test_the_order_of_zoos_does_not_change_that_of_weight_spaces(tmp_path):
    zoos = [make_zoo(tmp_path / str(i), [spec]) for i, spec in enumerate(SPECS)]
    records, models = [], []
    for number, chosen in enumerate((zoos, zoos[::-1])):
        path = tmp_path / f"run-{number}"
        train_run(recipe_on(*chosen), path)
        records.append(json.loads((path / "run.json").read_text()))
        models.append(read_tensors(path / "model.safetensors")[0])
    assert records[0]["specs"] == records[1]["specs"] and records[0]["zoos"] == records[1]["zoos"][::-1]
    assert models[0].keys() == models[1].keys()


def test_predictions_come_with_the_spec(run, zoo):
    loaded = load_run(run)
    assert loaded.specs == tuple(SPECS[i] for i in (1, 2, 0))
    expected = pl.read_csv(run / "predictions.csv")
    for part in zoo.parts:
        rows = part.rows("test")
        answers = loaded.predict(part.read(rows), part.spec)
        own = expected.filter(pl.col("weight_space") == str(part.spec))["predicted_accuracy"]
        assert torch.allclose(answers, own.to_torch().float(), atol=1e-6)
        moved = MonomialElement.sample(part.spec, len(rows), (1.0, 100.0)).act(part.read(rows))
        assert torch.allclose(loaded.predict(moved, part.spec), answers, atol=1e-5)
    with pytest.raises(UsageError, match="reads several weight spaces; give spec") as caught:
        loaded.predict(zoo.parts[0].read())
    assert all(str(spec) in str(caught.value) for spec in SPECS)
    with pytest.raises(UsageError, match="does not read networks 2 -> 3 -> 1, relu"):
        loaded.predict(zoo.parts[0].read(), NetworkSpec.mlp([2, 3, 1], "relu"))
    with pytest.raises(UsageError, match="reads 3 weight spaces; this needs one"):
        loaded.spec  # noqa: B018


def test_a_run_of_one_weight_space_takes_its_spec_and_no_other(tmp_path):
    zoo = make_zoo(tmp_path / "zoo", SPECS[:1])
    train_run(recipe_on(zoo), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["format"] == 2
    loaded = load_run(tmp_path / "run")
    assert torch.equal(loaded.predict(zoo.read()), loaded.predict(zoo.read(), SPECS[0]))
    with pytest.raises(UsageError, match="does not read"):
        loaded.predict(zoo.read(), SPECS[1])


def test_applied_to_a_zoo_the_answers_are_in_the_order_of_its_table(run, zoo, tmp_path):
    applied = apply_run(run, zoo.path, split="test")
    expected = pl.read_csv(run / "predictions.csv")
    assert applied.names == expected["network"].to_list()
    assert applied.columns["weight_space"] == expected["weight_space"].to_list()
    assert torch.allclose(applied.answers, expected["predicted_accuracy"].to_torch().float(), atol=1e-6)
    tau = json.loads((run / "result.json").read_text())["by_weight_space"][0]["test"]["tau"]["value"]
    assert applied.facts["by_weight_space"][0]["test"]["tau"]["value"] == pytest.approx(tau)

    other = NetworkSpec.cnn([1, 3, 9], outputs=3, activation="relu")
    more = make_zoo(tmp_path / "more", [SPECS[2], other])
    with pytest.raises(DataError, match="weight space 2: 14 networks are 1 -> 3 -> 9"):
        apply_run(run, more.path)
    kept = apply_run(run, more.path, skip_bad=True)
    assert kept.names == more.parts[0].ids and len(kept.skipped) == 1
    assert torch.equal(kept.answers, load_run(run).predict(more.parts[0].read(), SPECS[2]))
    alone = make_zoo(tmp_path / "alone", [other])
    with pytest.raises(DataError, match="holds networks 1 -> 3 -> 9"):
        apply_run(run, alone.path)


def test_a_file_must_say_which_weight_space_it_has_where_tensors_fit_several(run, zoo, tmp_path):
    export_zoo(zoo, tmp_path / "files")
    applied = apply_run(run, tmp_path / "files")
    whole = apply_run(run, zoo.path)
    assert applied.names == whole.names and torch.allclose(applied.answers, whole.answers, atol=1e-6)

    twins = make_zoo(tmp_path / "twins", [SPECS[1], NetworkSpec.cnn([1, 3, 4], outputs=3, activation="tanh")])
    train_run(recipe_on(twins), tmp_path / "run")
    network = twins.parts[0].read([0]).to_state_dicts()[0]
    torch.save({name: tensor.clone() for name, tensor in network.items()}, tmp_path / "one.pt")
    with pytest.raises(DataError, match="fit several weight spaces of the run, and the file does not say which"):
        apply_run(tmp_path / "run", tmp_path / "one.pt")
    assert apply_run(run, tmp_path / "one.pt").columns["weight_space"] == [str(SPECS[1])]
    torch.save({"a.weight": torch.zeros(9, 9), "b.weight": torch.zeros(9, 9)}, tmp_path / "foreign.pt")
    with pytest.raises(DataError, match=r"foreign\.pt"):
        apply_run(run, tmp_path / "foreign.pt")


def test_evaluated_with_elements_of_each_group(run, zoo):
    evaluation = evaluate_runs([load_run(run)], [(1.0, 100.0)])
    assert evaluation.group == "scale and sign" and evaluation.count == len(zoo.rows("test"))
    original, moved = evaluation.rows
    assert moved.condition.label == "U[1, 100] and sign flips, permuted" and moved.largest_change < 1e-5
    assert [figures.networks for figures in original.by_weight_space] == [3, 3, 3]
    entry = evaluation.to_json()["rows"][1]["by_weight_space"][2]
    assert NetworkSpec.from_json(entry["spec"]) == SPECS[0]
    assert entry["test"]["tau"]["value"] == original.by_weight_space[2].test["tau"].value


def test_a_graph_network_notices_elements_and_reads_other_depths(tmp_path):
    zoo = make_zoo(tmp_path / "zoo", [SPECS[1], NetworkSpec.mlp([4, 3, 5, 3], "tanh")])
    small = ["model.size=6", "model.rounds=2", "model.head=[8,8]", "training.epochs=1", "training.batch_size=4"]
    train_run(recipe_on(zoo, name="mixed-gnn", overrides=small), tmp_path / "run")
    evaluation = evaluate_runs([load_run(tmp_path / "run")], [(1.0, 100.0)])
    assert evaluation.rows[1].largest_change > 1e-3


def test_the_count_and_what_shares_it_are_said(zoo, tmp_path):
    notes = Notes()
    train_run(recipe_on(zoo), tmp_path / "run", context=Context(progress=notes))
    total = json.loads((tmp_path / "run" / "result.json").read_text())["parameters"]
    assert notes.lines[0] == f"model monomial: {total:,} parameters, for networks of 3 weight spaces"
    assert notes.lines[1].endswith("of them, shared by networks")
    assert notes.lines[2:4] == [f"  {SPECS[1]}", f"  {SPECS[2]}"]
    assert notes.lines[4].endswith("of them, for networks") and notes.lines[5] == f"  {SPECS[0]}"


def test_flips_that_max_pooling_forbids_are_mentioned(tmp_path):
    pooled = NetworkSpec.cnn([1, 3, 4], outputs=3, activation="tanh", pool=["max2", "none"])
    for specs in ([pooled], [pooled, SPECS[1]]):
        notes = Notes()
        zoo = make_zoo(tmp_path / f"zoo-{len(specs)}", specs)
        train_run(recipe_on(zoo), tmp_path / f"run-{len(specs)}", context=Context(progress=notes))
        said = f"the functional is invariant to sign flips that max pooling forbids, of networks {pooled}"
        assert notes.lines.count(said) == 1


@pytest.mark.parametrize(
    ("name", "specs", "message"),
    [
        (
            "relu-mlp",
            SPECS[1:],
            "model mlp cannot read these networks: .*one weight space, and there are also",
        ),
        ("relu-monomial", SPECS, "networks with tanh; this recipe is for relu networks"),
        (
            "mixed-monomial",
            [SPECS[1], NetworkSpec.cnn([1, 3, 4, 5], outputs=3)],
            r"model monomial cannot read these networks: .* which have 3 layers, not 4: .*; these are 1 -> 3 -> 4 -> 5",
        ),
        ("mixed-monomial", [SPECS[1], NetworkSpec.cnn([1, 3, 4], kernel=5, outputs=3)], "which have other kernels"),
    ],
)
def test_refused_before_training(tmp_path, name, specs, message):
    zoo = make_zoo(tmp_path / "zoo", specs)
    with pytest.raises(RecipeError, match=message) as caught:
        train_run(recipe_on(zoo, name=name, overrides=[]), tmp_path / "run")
    assert caught.value.exit_code == 2 and caught.value.where == str(zoo.path) and not (tmp_path / "run").exists()
    with pytest.raises(RecipeError, match=message):
        run_sweep(plan_sweep([f"generalization/{name}"], [0], zoos=[zoo.path]), tmp_path / "sweep")


def test_an_activation_of_one_group_names_the_networks_of_the_other(zoo, tmp_path):
    overrides = [*SMALL, "model.activation=relu", "model.invariant=normalize"]
    with pytest.raises(UsageError, match=r"networks 1 -> 4 -> 5 -> 3, .* tanh: normalize is not invariant .* or auto"):
        train_run(recipe_on(zoo, overrides=overrides), tmp_path / "run")


def test_too_few_training_networks_of_a_weight_space_are_refused(tmp_path):
    zoo = make_zoo(tmp_path / "zoo", SPECS[:2], split=["train"] * 24 + ["val", "test"] * 2)
    train_run(recipe_on(zoo), tmp_path / "fine")
    one = make_zoo(
        tmp_path / "one", SPECS[:2], split=["train", "val"] * 7 + ["train"] * 1 + ["val", "test"] * 6 + ["val"]
    )
    with pytest.raises(DataError, match=r"0 training networks 1 -> 3 -> 4 -> 3, .* at least 2 of each"):
        train_run(recipe_on(one), tmp_path / "run")


def test_an_unknown_input_size_is_no_weight_space_of_its_own(tmp_path):
    sized = NetworkSpec.cnn([1, 3, 4], outputs=3, input_size=(8, 8))
    zoos = [
        make_zoo(tmp_path / "a", [SPECS[1]]),
        make_zoo(tmp_path / "b", [sized]),
        make_zoo(tmp_path / "c", [SPECS[1], sized]),
    ]
    train_run(recipe_on(*zoos, name="relu-mlp", overrides=["model.head=[4,4]", "training.epochs=1"]), tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.spec == sized
    table = pl.read_csv(tmp_path / "run" / "predictions.csv")
    parts = open_zoo(zoos[2].path).parts
    by_id = {name: part.read([row]) for part in parts for row, name in enumerate(part.ids)}
    ids = table["network"].to_list()[-len(zoos[2].rows("test")) :]
    answers = torch.cat([loaded.predict(by_id[name]) for name in ids])
    expected = table["predicted_accuracy"].to_torch().float()[-len(ids) :]
    assert torch.allclose(answers, expected, atol=1e-6)


def test_a_model_that_is_too_large_names_the_graph_network(tmp_path):
    """A dense layer on a flattened map is a convolution whose kernel covers it, and its entries count as channels."""
    kernels, ones, zeros = ((3, 3), (3, 3), (7, 7)), ((1, 1),) * 3, ((0, 0),) * 3
    spec = NetworkSpec((1, 16, 16, 10), "relu", kernels, ones, zeros, flatten=True, input_size=(11, 11))
    zoo = make_zoo(tmp_path / "zoo", [spec])
    for name in ("relu-monomial", "mixed-monomial"):
        with pytest.raises(RecipeError, match=r"8[0-9],[0-9]{3},[0-9]{3} parameters for networks") as caught:
            limit = ["training.max_parameters=50000000", "training.batch_size=4"]
            train_run(recipe_on(zoo, name=name, overrides=limit), tmp_path / "run")
        assert "generalization/relu-gnn-canonical reads them with 2" in str(caught.value)
    both = make_zoo(tmp_path / "both", [spec, NetworkSpec.cnn([1, 16, 10], kernel=3, outputs=10, activation="tanh")])
    with pytest.raises(RecipeError, match="generalization/mixed-gnn reads them with 1"):
        train_run(
            recipe_on(both, overrides=["training.max_parameters=200000", "training.batch_size=4"]), tmp_path / "run"
        )


def make_inr_zoo(path, init="random"):
    """A zoo of random SIRENs of two widths, which claim to show pictures of three classes."""
    specs = [NetworkSpec.mlp([2, width, width, 1], "sin", omega=15.0) for width in (4, 6)]
    classes = {"class": [str(i // 2 % 3) for i in range(48)], "image_id": [f"p{i // 4}" for i in range(48)]}
    generator = torch.Generator().manual_seed(0)
    table = {
        "id": [f"n{i:02d}" for i in range(48)],
        "split": [["train", "train", "val", "test"][i // 12] for i in range(48)],
        "weight_space": [str(i % 2 + 1) for i in range(48)],
    }
    networks = [WeightSpaceFeatures.randn(spec, 24, generator=generator) for spec in specs]
    made = {"init": init, "steps": 10, "learning_rate": 0.001, "size": [8, 8], "pixel_range": [-1.0, 1.0]}
    return save_zoo(path, spaces_of([(spec, None) for spec in specs]), networks, table | classes, made=made)


@pytest.mark.parametrize("name", ["digits-monomial", "digits-hnp", "digits-probe"])
def test_classifiers_read_several_widths_of_inrs(tmp_path, name):
    zoo = make_inr_zoo(tmp_path / "zoo")
    small = ["training.epochs=2", "training.batch_size=6"]
    small += ["model.hidden=[8]"] if name == "digits-probe" else ["model.base_channels=[4,4]", "model.head=[8,8]"]
    recipe = load_recipe(f"classification/{name}", [*small, "augment={}", f"data.zoo=['{zoo.path}']"])
    train_run(recipe, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [entry["networks"] for entry in result["by_weight_space"]] == [6, 6]
    if name == "digits-probe":
        assert result["parameters"] == 36 * 2 + (36 * 8 + 8) + (8 * 3 + 3)  # one set of points and one perceptron
    if name != "digits-hnp":
        assert result["largest_change_of_a_probability"]["float64"] < 1e-10
    applied = apply_run(tmp_path / "run", zoo.path, split="test")
    expected = pl.read_csv(tmp_path / "run" / "predictions.csv")
    assert torch.allclose(applied.answers[:, 1], expected["probability_1"].to_torch().float(), atol=1e-6)


def test_inrs_with_shared_initial_weights_and_editors_need_one_weight_space(inr_zoo, tmp_path, monkeypatch):
    zoo = make_inr_zoo(tmp_path / "zoo")
    for name in ("editing/digits-dilate-np", "editing/digits-dilate-monomial-strict"):
        with pytest.raises(RecipeError, match="the model reads one weight space"):
            train_run(load_recipe(name, [f"data.zoo=['{zoo.path}']"]), tmp_path / "run")
    monkeypatch.setattr(MODELS["editing"]["np"], "shares", "all")
    with pytest.raises(RecipeError, match="networks of 2 weight spaces; an editor reads one"):
        train_run(load_recipe("editing/digits-dilate-np", [f"data.zoo=['{zoo.path}']"]), tmp_path / "run")
    with pytest.raises(RecipeError, match="networks that share initial weights; train them apart"):
        zoos = f"data.zoo=['{inr_zoo.path}', '{zoo.path}']"
        train_run(load_recipe("classification/digits-hnp", [zoos]), tmp_path / "run")
