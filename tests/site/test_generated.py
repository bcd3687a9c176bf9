"""The pages that scripts write are what they write now: commands from the program, the map from the imports."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from pages import ROOT

from mnfn_cli.cli.app import main


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Scripts find each other, as they do when one is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")


def script(name):
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["command_reference", "code_map", "symmetry_pictures", "adding_page", "start_page"])
def test_the_page_is_generated(name):
    module = script(name)
    assert module.page() == module.PAGE.read_text(), f"python scripts/{name}.py"


def test_the_reference_has_every_command_and_what_it_writes():
    module = script("command_reference")
    page = module.PAGE.read_text()
    root = module.typer.main.get_command(module.app)
    found = dict(module.commands(root))
    assert ("mnfn", "zoo", "build", "cnn") in found and ("mnfn", "edit") in found
    assert all(f"### {' '.join(words)}\n" in page for words in found)
    written = {words[-1]: [option for option, _ in module.written(command)] for words, command in found.items()}
    assert written["edit-style"] == ["--out, -o", "--picture"] and written["compare"] == ["--align"]
    assert written["env"] == []


def test_a_command_that_declares_nothing_is_in_the_reference_all_the_same():
    module = script("command_reference")
    app = module.app.__class__(name="mnfn")

    @app.command("new")
    def new(out: str = module.typer.Option(..., "--out", help="Write a page here.")) -> None:
        """Do something new."""

    @app.command("other")
    def other() -> None:
        """Do something else."""

    found = dict(module.commands(module.typer.main.get_command(app)))
    assert module.written(found[("mnfn", "new")]) == [("--out", "Write a page here.")]
    assert "Do something new." in module.section(("mnfn", "new"), found[("mnfn", "new")])


def test_the_pictures_show_what_is_so():
    """What the page says of each element is measured again: the function stays, and a wrong element moves it."""
    module = script("symmetry_pictures")
    network = module.WeightSpaceFeatures.randn(module.RELU, batch=1, dtype=module.torch.float64)
    for example in module.EXAMPLES:
        figures = module.measure(example, network)
        assert figures["function"] < 1e-10 * max(figures["range"], 1) and figures["weights"] > 0.1
        assert figures["wrong"] > 1e-3


def test_the_way_of_a_batch_is_the_way_it_goes(digits_zoo, tmp_path, monkeypatch):
    """The functions that the page names are called by ``mnfn train``, for the first time in the page's order."""
    module = script("code_map")
    source = str(ROOT / "src" / "mnfn_cli") + "/"
    wanted = {(step.place, step.function) for step in module.WAY}
    seen = {}

    def watch(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(source):
            key = (code.co_filename.removeprefix(source), code.co_qualname)
            if key in wanted:
                seen.setdefault(key)

    words = ["train", "--recipe", module.WAY_RECIPE, "--zoo", str(digits_zoo.path), "-o", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["mnfn", *words, "-q", "training.epochs=1", "augment={scale: [1, 10]}"])
    sys.setprofile(watch)
    try:
        with pytest.raises(SystemExit) as done:
            main()
    finally:
        sys.setprofile(None)
    assert done.value.code == 0
    assert list(seen) == [(step.place, step.function) for step in module.WAY]
    assert module.way() == module.WAY_PAGE.read_text()


def test_every_layer_of_the_contract_is_on_the_map():
    module = script("code_map")
    names = {name for row in module.layers() for name in row}
    inside = [path for path in (ROOT / "src" / "mnfn_cli").iterdir() if not path.name.startswith("_")]
    here = {path.stem for path in inside if path.is_dir() or path.suffix == ".py"}
    assert names == here
    drawn = module.needed(module.imports())
    order = {name: number for number, row in enumerate(module.layers()) for name in row}
    assert drawn and all(order[one] <= order[other] for one, other in drawn)


FILES = re.compile(r"`((?:src/|tests/|scripts/|docs/|recipes/|[a-z]+/)[\w/.-]+\.(?:py|yaml|md|json))`")


@pytest.mark.parametrize("page", ["code-map", "batch", "adding"])
def test_files_that_are_named_exist(page):
    named = FILES.findall((ROOT / "docs" / "inside" / f"{page}.md").read_text())
    added = (ROOT / "docs" / "examples" / "patches").glob("*.patch")
    new = {path for patch in added for path in re.findall(r"^\+\+\+ b/(.*)$", patch.read_text(), re.MULTILINE)}
    missing = {name for name in named if not ((ROOT / name).exists() or (ROOT / "src/mnfn_cli" / name).exists())}
    assert named and missing <= new
    assert Path(ROOT / "docs" / "inside" / f"{page}.md").exists()
