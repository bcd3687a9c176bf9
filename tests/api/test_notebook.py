"""The tour runs from its first cell to its last, and shows what it shows on the page."""

import nbformat
import pytest


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import notebook

    return notebook


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("cells", [8, pytest.param(None, marks=pytest.mark.docs)])
def test_the_tour_runs_and_its_outputs_are_not_stale(notebook, cells):
    """The first cells build a zoo, read it and act on it; the whole tour also trains for half a minute."""
    assert not notebook.differences(notebook.load(cells), notebook.execute(cells))


def test_stale_outputs_are_seen(notebook):
    kept = notebook.load()
    kept.metadata["mnfn"] = {"processor": notebook.processor()}
    assert not notebook.differences(kept, kept)
    new = nbformat.from_dict(kept)
    cell = next(cell for cell in new.cells if cell.cell_type == "code" and cell.outputs)
    cell.outputs[0].text = cell.outputs[0].text.replace("networks", "nets")
    assert len(notebook.differences(kept, new)) == 1
    kept.metadata["mnfn"]["processor"] = "another"
    assert len(notebook.differences(kept, new)) == 1


def test_numbers_may_differ_a_little_on_another_processor_only(notebook):
    kept = notebook.load()
    new = nbformat.from_dict(kept)
    new.metadata["mnfn"] = {"processor": "another"}
    cell = next(each for each in new.cells if each.cell_type == "code" and "tau" in str(each.outputs[:1]))
    cell.outputs[0].text = cell.outputs[0].text.replace("0.9", "0.8", 1)
    assert cell.outputs[0].text != next(k for k in kept.cells if k.get("id") == cell.id).outputs[0].text
    assert not notebook.differences(kept, new)
    cell.outputs[0].text = cell.outputs[0].text.replace("0.8", "0.1", 1)
    assert len(notebook.differences(kept, new)) == 1
