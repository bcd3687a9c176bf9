"""No code of ours loads, runs or writes what could run code of a file; and no JSON is written that is none.

The source is parsed, so comments and texts do not matter. docs of what is promised: SECURITY.md.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(file for folder in ("src", "scripts", "benchmarks", "docs") for file in (ROOT / folder).rglob("*.py"))

ALLOWED = {
    "src/mnfn_cli/runtime/parcels.py: pickle.Pickler": "a message between the processes of one job",
    "src/mnfn_cli/runtime/parcels.py: pickle.loads": "a message between the processes of one job",
    "src/mnfn_cli/storage/torch_files.py: torch.save": "mnfn zoo export --format state-dict, and edits of .pt files",
    "scripts/dist.py: extractall": "of the sdist that it has just built",
    "benchmarks/import_files.py: torch.save": "makes files to import",
    "docs/examples/checkpoints.py: torch.save": "makes files to import, as anyone would",
    "src/mnfn_cli/storage/records.py: json.dumps": "looks for half surrogates in what was read",
}
"""Every use that is left, and why it is harmless."""

PICKLES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
HARMLESS = {"UnpicklingError", "PicklingError"}
NEVER = {
    "yaml": {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
    | {"Loader", "UnsafeLoader", "FullLoader", "UnsafeConstructor"},
    "os": {"system", "popen", "execv", "execvp", "execve"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "torch": {"save"},
    "hub": {"load", "load_state_dict_from_url"},
    "tempfile": {"mktemp"},
}
"""Names that are never used, by the modules that they belong to."""


def findings(source: str) -> list[str]:
    """Return the unsafe uses in Python source, in the order of its lines."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (owner := _name(node.value)):
            last = owner.rpartition(".")[2]
            if (owner in PICKLES and node.attr not in HARMLESS) or node.attr in NEVER.get(last, ()):
                found.append((node.lineno, f"{last}.{node.attr}"))
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").rpartition(".")[2]
            for alias in node.names:
                unsafe = alias.name in NEVER.get(module, ()) or (module, alias.name) == ("torch", "load")
                if (module in PICKLES and alias.name not in HARMLESS) or unsafe:
                    found.append((node.lineno, f"{module}.{alias.name}"))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _unsafe_call(node)]
    return [what for _, what in sorted(found)]


def _unsafe_call(call: ast.Call) -> list[str]:
    name, arguments = _name(call.func), {keyword.arg: keyword.value for keyword in call.keywords}
    found = []
    if name in ("eval", "exec", "compile", "__import__"):
        found.append(name)
    if name.rpartition(".")[2] in ("extractall", "extract") and "." in name:
        found.append(name.rpartition(".")[2])
    if name in ("torch.load", "torch.jit.load") and not _is(arguments.get("weights_only"), True):
        found.append(name)
    if name in ("json.dumps", "json.dump") and not _is(arguments.get("allow_nan"), False):
        found.append(name)
    found += [f"{key}=" for key in ("allow_pickle", "shell") if key in arguments and not _is(arguments[key], False)]
    return found


def _is(value: ast.expr | None, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def _name(node: ast.expr) -> str:
    """Return a dotted name such as ``torch.hub``; of other expressions the last attribute, such as ``.extractall``."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_name(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def test_nothing_unsafe_is_used():
    found = [f"{file.relative_to(ROOT)}: {what}" for file in SOURCES for what in findings(file.read_text())]
    assert sorted(set(found)) == sorted(ALLOWED)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle\npickle.load(file)", ["pickle.load"]),
        ("from pickle import Unpickler", ["pickle.Unpickler"]),
        ("import joblib\njoblib.load(file)", ["joblib.load"]),
        ("try: pass\nexcept pickle.UnpicklingError: pass", []),
        ("torch.load(file)", ["torch.load"]),
        ("torch.load(file, weights_only=False)", ["torch.load"]),
        ("torch.load(file, weights_only=wanted)", ["torch.load"]),
        ("torch.load(file, weights_only=True)", []),
        ("from torch import load", ["torch.load"]),
        ("torch.save(weights, file)", ["torch.save"]),
        ("np.load(file, allow_pickle=True)", ["allow_pickle="]),
        ("np.load(file, allow_pickle=False)", []),
        ("eval(text)", ["eval"]),
        ("model.eval()", []),
        ("exec(text)", ["exec"]),
        ("yaml.load(text, Loader=yaml.Loader)", ["yaml.Loader", "yaml.load"]),
        ("yaml.safe_load(text)", []),
        ("tarfile.open(file).extractall(folder)", ["extractall"]),
        ("archive.extractall(folder)", ["extractall"]),
        ("subprocess.run(text, shell=True)", ["shell="]),
        ("os.system(text)", ["os.system"]),
        ("json.dumps(document)", ["json.dumps"]),
        ("json.dumps(document, allow_nan=False)", []),
        ("# pickle.load(file)\n'eval(text)'", []),
    ],
)
def test_each_rule_finds_what_it_is_for(source, found):
    assert findings(source) == found


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_hold_is_null_and_named(broken):
    from mnfn_cli.storage.atomic import to_json

    document = {"test": {"tau": broken, "mse": [0.5, broken]}, "name": "a"}
    told = json.loads(to_json(document))
    assert told == {
        "test": {"tau": None, "mse": [0.5, None]},
        "name": "a",
        "not_finite": ["test.tau", "test.mse.1"],
    }
    assert json.loads(to_json([{"tau": broken}, {"tau": 0.5}])) == [{"tau": None, "not_finite": ["tau"]}, {"tau": 0.5}]
    assert json.loads(to_json({"tau": None})) == {"tau": None}


FAKE = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
cat > "$2" <<'END'
%s
END
exit 1
"""
VULNERABLE = {"name": "a", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
FINE = {"name": "b", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        ({"dependencies": [VULNERABLE, FINE, UNKNOWN]}, 1, "a 1.0: CVE-1; mended in 1.1"),
        ({"dependencies": [FINE, UNKNOWN]}, 0, "asked about 1 of 2 pinned packages: no known vulnerability"),
        ({"dependencies": [UNKNOWN]}, 0, "could not be asked"),
        ("<html>no such page", 0, "could not be asked"),
        (None, 0, "could not be asked"),
    ],
)
def test_the_audit_fails_for_a_vulnerability_and_not_for_a_missing_network(tmp_path, report, code, said):
    auditor = tmp_path / "auditor"
    if report is not None:
        auditor.write_text(FAKE % json.dumps(report))
        auditor.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "audit.py"), str(auditor)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code and said in done.stdout and not done.stderr
