"""The functions beside train and predict do what their commands do, with the same files, numbers and messages."""

import json
import math
import sys
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
import torch
import typer

from mnfn_cli import (
    SweepResult,
    augment_zoo,
    compare,
    explain,
    export_functional,
    export_zoo,
    import_zoo,
    list_pretrained,
    load_run,
    render_zoo,
    sweep,
    train,
    verify_zoo,
    write_report,
)
from mnfn_cli.cli.app import app, main
from mnfn_cli.errors import DataError, OutputError, RecipeError, UsageError
from mnfn_cli.task_list import TASKS
from mnfn_cli.testing import example_zoo
from mnfn_cli.weightspace import Reading
from mnfn_cli.zoo import find_twins, look_at_magnitudes, open_zoo, plan_filter, plan_merge, plan_split, save_zoo

SHORT = {"training.epochs": 1}
HYBRID = "generalization/digits-relu-hybrid"
STATISTICS = "generalization/digits-relu-canonical-statistics"


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs a command, and returns its exit code, what it printed and its errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The networks of the example zoo as files with metadata, as files without, and moved by the group."""
    folder = tmp_path_factory.mktemp("files")
    moved = augment_zoo(example_zoo(), folder / "moved-zoo", scale=(1.0, 10.0)).zoo
    export_zoo(example_zoo(), folder / "told")
    export_zoo(example_zoo(), folder / "bare", suffix=".pt")
    export_zoo(moved, folder / "moved")
    return folder


def numbers(document):
    return [None if isinstance(each, float) and math.isnan(each) else each for each in document.values()]


def test_sweep_is_mnfn_sweep(command, tmp_path):
    recipes = ["generalization/relu-statnn", "generalization/relu-mlp"]
    arguments = [word for recipe in recipes for word in ("--recipe", recipe)]
    arguments += ["--zoo", example_zoo().path, "--seeds", "0,1", "-o", tmp_path / "a", "--json", "training.epochs=1"]
    code, printed, _ = command("sweep", *arguments)
    found = sweep(recipes, example_zoo(), tmp_path / "b", SHORT, seeds=(0, 1))
    assert not code and found.table.height == 2
    for one, other in zip(json.loads(printed), found.rows, strict=True):
        assert list(one) == list(other)
        assert numbers(one | {"seconds": 0}) == numbers(other | {"seconds": 0})
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.safetensors"))
    assert len(names) == 4
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [run.path.name for run in found.runs] == [path.name for path in found.folders]
    assert found.plot(tmp_path / "means.png", figure="l1").axes[0].get_xlabel().startswith("l1")
    assert (tmp_path / "means.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_goes_on_and_is_read_back(tmp_path):
    both = [(), {"model.head": [4, 4]}]
    first = sweep("generalization/relu-statnn", example_zoo(), tmp_path / "sweep", SHORT, variants=both[:1])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    found = sweep("generalization/relu-statnn", example_zoo(), tmp_path / "sweep", SHORT, variants=both)
    assert first.table.height == 1 and found.table["variant"].to_list() == ["", "model.head=[4, 4]"]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    again = SweepResult.read(tmp_path / "sweep")
    assert again.folders == found.folders and list(map(numbers, again.rows)) == list(map(numbers, found.rows))
    with pytest.raises(UsageError, match="no accuracy; its figures are tau"):
        again.plot(figure="accuracy")
    with pytest.raises(UsageError, match="would be run twice"):
        sweep("generalization/relu-statnn", example_zoo(), tmp_path / "sweep", seeds=[1, 1])
    with pytest.raises(RecipeError, match=r"training\.epoch: "):
        sweep("generalization/relu-statnn", example_zoo(), tmp_path / "other", {"training.epoch": 1})
    assert not (tmp_path / "other").exists()


def test_explain_is_mnfn_explain(command, tmp_path):
    zoo = example_zoo()
    code, printed, _ = command("explain", HYBRID, zoo.path, "--network", "10", "-o", tmp_path / "a.png", "--json")
    found = explain(HYBRID, zoo, "10")
    found.plot(tmp_path / "b.png")
    assert not code and (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    told = json.loads(printed)
    assert told["unlike_score"] == found.unlike
    assert told["prediction"] == found.prediction and (told["low"], told["high"]) == found.interval
    assert told["layers"] == found.table.rows(named=True)
    assert [entry["weight"] for entry in told["inputs"]] == found.inputs["weight"].to_list()
    one = zoo.select([zoo.ids.index("10")])
    memory, view = explain(load_run(STATISTICS), one.read()), explain(STATISTICS, one)
    assert (memory.network, view.network) == ("0", "10") and memory.table.equals(view.table)


def test_explain_says_which_network_it_needs(tmp_path):
    with pytest.raises(UsageError, match=f"{example_zoo().path} holds 12 networks; name one, such as 00"):
        explain(HYBRID, example_zoo())
    with pytest.raises(UsageError, match="features holds 2 networks"):
        explain(HYBRID, example_zoo().split("test").read())
    with pytest.raises(DataError, match="holds no network 'nobody'"):
        explain(HYBRID, example_zoo().path, "nobody")
    run = train("generalization/relu-statnn", example_zoo(), tmp_path / "run", SHORT)
    assert explain(run.path, example_zoo(), "00").inputs.is_empty()


def test_compare_is_mnfn_compare(command, files, tmp_path):
    a, b = files / "told" / "03.safetensors", files / "moved" / "03-g1.safetensors"
    code, printed, _ = command("compare", a, b, "--align", tmp_path / "a.safetensors", "--json")
    found = compare(a, b)
    found.save(tmp_path / "b.safetensors")
    told = json.loads(printed)
    assert not code and found.twins and found.same_function and told["verdict"] == found.verdict
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    factors = [layer["factors"] for layer in told["layers"]]
    assert found.table["smallest_factor"].to_list() == list(map(min, factors))
    assert found.table["neurons"].to_list() == list(map(len, factors)) and found.table["moved"].sum() > 0
    assert found.element.scales[0][0].tolist() == factors[0]
    with pytest.raises(OutputError, match="exists"):
        found.save(tmp_path / "b.safetensors")
    with pytest.raises(OutputError, match="input"):
        found.save(a, force=True)
    assert compare(tmp_path / "b.safetensors", b).comparison.alignment.before[0] < 1e-5


def test_compare_is_told_what_files_do_not_say(files):
    a, b = files / "bare" / "00.pt", files / "bare" / "01.pt"
    with pytest.raises(UsageError, match="--activation: weights do not tell the activation"):
        compare(a, b)
    assert compare(a, b, activation="relu").same_function is None
    found = compare(a, b, activation="relu", stride=2)
    assert found.same_function is False and found.pair.spec.strides[0] == (2, 2)
    with pytest.raises(UsageError, match="--stride: 0; give whole numbers from 1 on"):
        compare(a, b, activation="relu", stride=0)
    with pytest.raises(UsageError, match="--input-size: "):
        compare(a, b, activation="relu", input_size=(28,))


def test_import_zoo_is_mnfn_zoo_import(command, files, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("name,acc,who\n" + "".join(f"{name},0.{name},me\n" for name in example_zoo().ids))
    options = ["--activation", "relu", "--stride", "2,1", "--padding", "1", "--pool", "none,max2", "--seed", "3"]
    options += ["--input-size", "1x28x28", "--input-mean", "0.5", "--labels", labels, "--label", "acc"]
    options += ["--split", "50/25/25", "--on-bad", "skip"]
    code, _, said = command("zoo", "import", "folder", files / "bare", "-o", tmp_path / "a", *options)
    assert code == 3, "the example's networks have three convolutions"
    problem = str(_error(lambda: import_zoo(files / "bare", tmp_path / "b", activation="relu", stride=[2, 1])))
    assert "has 3 convolutions, and --stride has 2 entries" in said and "has 3 convolutions, and --stride" in problem
    options[3], options[7] = "2,1x1,2", "none"
    code, _, said = command("zoo", "import", "folder", files / "bare", "-o", tmp_path / "a", *options)
    assert not code, said
    zoo = import_zoo(
        files / "bare",
        tmp_path / "b",
        activation="relu",
        stride=[2, (1, 1), 2],
        padding=1,
        pool="none",
        seed=3,
        input_size=(1, 28, 28),
        input_mean=0.5,
        labels=labels,
        label="acc",
        fractions={"train": 0.5, "val": 0.25, "test": 0.25},
        skip_bad=True,
    )
    assert zoo.fingerprint == open_zoo(tmp_path / "a").fingerprint and zoo.spec == open_zoo(tmp_path / "a").spec
    assert zoo.table.equals(open_zoo(tmp_path / "a").table) and zoo.table["test_accuracy"].max() == 0.11


def _error(call):
    with pytest.raises(DataError) as raised:
        call()
    return raised.value


def test_files_that_say_all_need_no_option(files, tmp_path):
    zoo = import_zoo(files / "told", tmp_path / "zoo")
    assert zoo.spec == example_zoo().spec and zoo.table["split"].to_list() == example_zoo().table["split"].to_list()
    assert torch.equal(zoo.read().weights[0], example_zoo().read().weights[0])
    names = [layer.weight.removesuffix(".weight") for layer in zoo.spaces[0].layout.layers]
    told = import_zoo(files / "bare", tmp_path / "again", activation="relu", reading=Reading(layers=tuple(names)))
    assert told.record.made.to_json()["layers"] == names


def test_import_zoo_refuses_what_the_command_refuses(command, files, tmp_path):
    code, _, said = command("zoo", "import", "nfn-siren", files / "bare", "-o", tmp_path / "z", "--seed", 1)
    assert code == 2
    with pytest.raises(UsageError) as raised:
        import_zoo(files / "bare", tmp_path / "z", "nfn-siren", seed=1)
    assert str(raised.value) in said
    wrong = {
        "is no format; known: small-cnn-zoo, .* and folder": {"format": "zip"},
        "--layers: belongs to folder, not to dws-inr": {"format": "dws-inr", "reading": Reading(("a",))},
        "--protocol: say by which": {"format": "small-cnn-zoo"},
        "--epoch: 'first'; give the number": {"format": "model-zoos", "epoch": "first"},
        "--coordinates: 'zx'; use yx or xy": {"format": "nfn-siren", "coordinates": "zx"},
        "--pixel-range: 1 0; black is less": {"format": "nfn-siren", "pixel_range": (1.0, 0.0)},
        "--size: '28x28'; give a size in pixels": {"format": "nfn-siren", "size": "28x28"},
        "--padding: -1; give whole numbers from 0": {"activation": "relu", "padding": -1},
        "'big'; write none, max2": {"activation": "relu", "pool": "big"},
        "fractions: .* give those of train, val": {"activation": "relu", "fractions": {"train": 0.5, "test": 0.2}},
    }
    for problem, options in wrong.items():
        with pytest.raises(UsageError, match=problem):
            import_zoo(files / "bare", tmp_path / "z", **options)
    with pytest.raises(OutputError, match="input"):
        import_zoo(files / "bare", files / "bare" / "zoo", activation="relu")
    with pytest.raises(OutputError, match="exists"):
        import_zoo(files / "told", files / "moved-zoo")
    assert not (tmp_path / "z").exists()


def test_verify_zoo_is_mnfn_zoo_verify(command, tmp_path):
    features = example_zoo().read()
    zoo = save_zoo(
        tmp_path / "zoo", example_zoo().spec, features.map(lambda tensor: tensor * 1e-42), example_zoo().table
    )
    code, printed, _ = command("zoo", "verify", zoo.path, "--json")
    assert not code and verify_zoo(zoo) == verify_zoo(zoo.path) == []
    assert json.loads(printed)["numbers"] == vars(look_at_magnitudes(zoo)) and look_at_magnitudes(zoo).denormal == 12
    file = next(zoo.path.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    code, _, said = command("zoo", "verify", zoo.path)
    assert code == 3 and all(str(fault) in said for fault in verify_zoo(zoo)) and len(verify_zoo(zoo)) == 1


def test_write_report_is_mnfn_report(command, tmp_path):
    code, printed, _ = command("report", HYBRID, example_zoo().path, "-o", tmp_path / "a.html", "--json")
    found = write_report([HYBRID, example_zoo().path], tmp_path / "b.html")
    assert not code and (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert json.loads(printed)["sections"] == found.table.rows(named=True)
    titled = write_report(HYBRID, tmp_path / "c.html", title="Mine & <yours>")
    assert "Mine &amp; &lt;yours&gt;" in titled.path.read_text()
    with pytest.raises(OutputError, match="exists"):
        write_report(HYBRID, tmp_path / "c.html")
    with pytest.raises(DataError, match="no such"):
        write_report(["nothing", HYBRID], tmp_path / "d.html")


@pytest.mark.slow
def test_export_functional_is_mnfn_export_functional(command, tmp_path):
    run = train("generalization/relu-statnn", example_zoo(), tmp_path / "run", SHORT)
    code, printed, _ = command("export-functional", run.path, "-o", tmp_path / "a.pt2", "--json")
    written = export_functional(run.load(), tmp_path / "b.pt2")
    told = json.loads(printed)
    assert not code and {name: told[name] for name in written.metadata} == written.metadata
    networks = example_zoo().read()
    tensors = [tensor[:, 0] for tensor in networks.tensors()]
    (answers,) = torch.export.load(tmp_path / "b.pt2").module()(*tensors)
    torch.testing.assert_close(answers, run.load().predict(networks), rtol=1e-6, atol=1e-6)
    with pytest.raises(OutputError, match="exists"):
        export_functional(run.path, tmp_path / "b.pt2")
    with pytest.raises(OutputError, match="input"):
        export_functional(run.path, run.path / "program.pt2")


def test_list_pretrained_is_mnfn_pretrained(command):
    code, printed, _ = command("pretrained", "--json")
    told = json.loads(printed)
    assert not code and [row["name"] for row in told] == [run.name for run in list_pretrained()]
    assert [row["path"] for row in told] == [str(run.path) for run in list_pretrained()]


def test_results_with_tables_have_polars_and_pandas(files, tmp_path):
    pandas = pytest.importorskip("pandas")
    results = [
        explain(HYBRID, example_zoo(), "00"),
        compare(files / "told" / "00.safetensors", files / "told" / "01.safetensors"),
        write_report(HYBRID, tmp_path / "page.html"),
    ]
    for found in results:
        assert isinstance(found.table, pl.DataFrame) and found.to_polars().equals(found.table)
        assert isinstance(found.to_pandas(), pandas.DataFrame) and [*found.to_pandas()] == found.table.columns


def test_render_zoo_is_mnfn_zoo_render(command, tmp_path):
    inrs = Path(__file__).parents[1] / "formats" / "first" / "inrs"
    code, _, _ = command("zoo", "render", inrs, "-o", tmp_path / "a.png", "--limit", 2)
    image = render_zoo(open_zoo(inrs), tmp_path / "b.png", limit=2)
    assert not code and (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert image.size[0] > image.size[1] and render_zoo(inrs, limit=1).size[0] < image.size[0]
    with pytest.raises(OutputError, match="exists"):
        render_zoo(inrs, tmp_path / "b.png")
    with pytest.raises(UsageError, match="no network nobody"):
        render_zoo(inrs, ids=["nobody"])
    with pytest.raises(UsageError, match="no INRs"):
        render_zoo(example_zoo())


def test_zoos_are_given_open_or_by_path(tmp_path):
    zoo = example_zoo()
    assert open_zoo(zoo) is zoo
    tables = []
    for number, each in enumerate((zoo, zoo.path, str(zoo.path))):
        assert export_zoo(each, tmp_path / f"{number}-files", split="test") == 2
        tables.append([augment_zoo(each, tmp_path / f"{number}-moved", verify=False).zoo.table])
        tables[-1] += [plan_split(each, {"train": 1.0, "val": 0.0, "test": 0.0}, seed=0).table]
        tables[-1] += [plan_filter(each, "split = 'test'").table, plan_merge([each, tmp_path / "0-moved"]).table]
        assert find_twins(each) == []
    for other in tables[1:]:
        assert all(map(pl.DataFrame.equals, other, tables[0]))
    with pytest.raises(UsageError, match="give those of train, val and test"):
        plan_split(zoo, {"train": 0.5}, seed=0)


def test_every_command_has_a_function(monkeypatch):
    """The table of the page has all commands but ``mnfn env``, which describes the machine, and long names of tasks."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    import api

    def words(group, before=()):
        for name, each in group.commands.items():
            yield from words(each, (*before, name)) if hasattr(each, "commands") else [" ".join((*before, name))]

    commands = {*words(typer.main.get_command(app))} - {"env"} - {each.command for each in TASKS.values()}
    assert {command.partition(" --")[0] for command in api.COMMANDS} == commands
    for name in api.COMMANDS.values():
        package, _, function = f"mnfn_cli.{name}".rpartition(".")
        assert function in import_module(package).__all__, name
