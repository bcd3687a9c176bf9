"""The commands as a user types them: outputs, streams, exit codes, one line an error."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MNFN = str(Path(sys.executable).with_name("mnfn"))


def run(*arguments, code=0, cwd=None, env=None, **options):
    done = subprocess.run(
        [MNFN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def fail(*arguments, code, lines=1, **options):
    """Run a command that must fail with ``code`` and so many one-line errors; return them."""
    done = run(*arguments, code=code, **options)
    errors = [line for line in done.stderr.splitlines() if line.startswith("mnfn: error: ")]
    assert len(errors) == lines, done.stderr
    assert done.stdout == ""
    return "\n".join(errors)


def test_the_whole_story(tmp_path):
    def mnfn(*arguments):
        return run(*arguments, cwd=tmp_path)

    built = mnfn("zoo", "build", "cnn", "--images", "digits", "--count", "24", "--epochs", "1", "-o", "zoo")
    assert "24 networks" in built.stdout and "training 24 networks" in built.stderr
    assert json.loads(mnfn("zoo", "info", "zoo", "--json").stdout)["networks"] == 24
    assert "no fault" in mnfn("zoo", "verify", "zoo").stdout
    augmented = json.loads(mnfn("augment", "zoo", "-o", "scaled", "--scale", "1", "1e4", "--json").stdout)
    assert augmented["largest_error"] <= 1e-4
    trained = mnfn(
        "train", "--recipe", "generalization/relu-monomial", "--zoo", "zoo", "-o", "run",
        "training.epochs=1", "--json", "-q",
    )  # fmt: skip
    assert trained.stderr == "" and json.loads(trained.stdout)["parameters"] == 254_609
    assert "U[1, 10000]" in mnfn("evaluate", "run", "--scales", "1,1e4", "-o", "robustness").stdout
    names = {path.name for path in (tmp_path / "robustness").iterdir()}
    assert names == {"evaluation.json", "evaluation.csv", "evaluation.md", "robustness.png"}
    mnfn("zoo", "export", "zoo", "-o", "files", "--split", "test", "--limit", "3")
    table = mnfn("predict-generalization", "run", "files").stdout.splitlines()
    assert table[0] == "network,predicted_accuracy,true_accuracy" and len(table) == 4
    predicted = mnfn("predict", "run", "scaled", "-o", "predictions.csv").stdout
    assert predicted.startswith("predictions.csv: 24 networks; on 24 networks with a known accuracy: tau ")
    assert not list(tmp_path.glob(".*")), "temporaries are left"


def test_help_and_version():
    assert run("--version").stdout.startswith("mnfn ")
    text = run("--help").stdout
    assert "Examples:" in text and "mnfn zoo build cnn" in text
    for command in (["zoo", "build", "cnn"], ["zoo", "info"], ["augment"], ["train"], ["evaluate"], ["predict"]):
        assert "Examples:" in run(*command, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train"], 2),
        (["zoo", "info", "nowhere"], 3),
        (["predict", "RUN", "pipe.safetensors"], 3),
        (["zoo", "export", "ZOO", "-o", "/proc/mnfn/files"], 4),
        (["augment", "ZOO", "-o", "."], 6),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(arguments, code, tmp_path, relu_run, digits_zoo):
    os.mkfifo(tmp_path / "pipe.safetensors")
    given = {"RUN": relu_run, "ZOO": digits_zoo.path}
    fail(*(given.get(word, word) for word in arguments), code=code, cwd=tmp_path, timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.safetensors"]


@pytest.mark.fault("C8", "C9")
def test_stdout_that_closes_or_is_full(digits_zoo, relu_run):
    head = subprocess.run(
        f"'{MNFN}' predict -q '{relu_run}' '{digits_zoo.path}' | head -1",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert head.stdout.startswith("network,") and head.stderr == ""
    full = subprocess.run(
        f"'{MNFN}' predict -q '{relu_run}' '{digits_zoo.path}' > /dev/full", shell=True, capture_output=True, text=True
    )
    assert full.returncode == 4 and full.stderr.startswith("mnfn: error: ") and len(full.stderr.splitlines()) == 1


def closed_pipe():
    """Return a descriptor of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.fault("C8")
@pytest.mark.parametrize("arguments", [["recipe", "list"], ["--help"], ["zoo", "info"]])
def test_stdout_that_is_closed_before_the_first_word(arguments, digits_zoo):
    pipe = closed_pipe()
    zoo = [digits_zoo.path] * (arguments[0] == "zoo")
    done = subprocess.run([MNFN, *arguments, *zoo], stdout=pipe, stderr=subprocess.PIPE)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.fault("C15")
@pytest.mark.parametrize("kind", ["full", "closed"])
def test_stderr_that_is_full_or_whose_reader_is_gone(tmp_path, digits_zoo, relu_run, kind):
    """Notes are lost, and the work is done; exit codes stay."""
    stderr = os.open("/dev/full", os.O_WRONLY) if kind == "full" else closed_pipe()
    commands = {0: ["predict", relu_run, digits_zoo.path, "-o", tmp_path / "out.csv"], 3: ["zoo", "info", "nowhere"]}
    for code, command in commands.items():
        assert subprocess.run([MNFN, *command], stderr=stderr, stdout=subprocess.DEVNULL).returncode == code
    os.close(stderr)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 41


@pytest.mark.parametrize(("arguments", "code"), [("recipe list", 0), ("--help", 0), ("zoo", 2), ("trian", 2)])
@pytest.mark.fault("H21")
def test_streams_that_are_closed_from_the_start(arguments, code):
    for closed in (">&-", "2>&-"):
        done = subprocess.run(f"'{MNFN}' {arguments} {closed}", shell=True, capture_output=True, text=True)
        assert done.returncode == code and "Traceback" not in done.stderr


@pytest.mark.fault("D9")
def test_a_current_folder_that_is_gone(tmp_path, digits_zoo):
    command = f"mkdir gone && cd gone && rmdir ../gone && '{MNFN}' zoo export '{digits_zoo.path}' -o out"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "mnfn: error: .: the current folder is gone, or cannot be read; change to another one\n"


@pytest.mark.parametrize("env", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"COLUMNS": "20"}])
@pytest.mark.fault("C12", "C14")
def test_poor_terminals(env, digits_zoo):
    run("zoo", "info", digits_zoo.path, env=env)
    run("train", "--help", env=env)


def start(*arguments, cwd):
    return subprocess.Popen(
        [MNFN, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, process):
    for _ in range(600):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.1)


def tree(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


INTERRUPTED = """
import os, sys
from mnfn_cli.cli.app import main
from mnfn_cli.zoo.build import classifiers

number, train, calls = int(sys.argv.pop(1)), classifiers.train_networks, []

def train_networks(*arguments, **options):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), number)
    return train(*arguments, **options)

classifiers.train_networks = train_networks
main()
"""
"""The program, with a signal to itself when the first chunk is on disk and the second one begins."""


@pytest.fixture(scope="module")
def whole_zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run("zoo", "build", "cnn", "--count", "12", "--epochs", "1", "-o", "zoo", cwd=folder)
    return folder / "zoo"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.fault("K1", "K2", "K3")
def test_an_interrupted_build_continues_to_the_same_zoo(whole_zoo, mnfn, tmp_path, number, code):
    command = ["zoo", "build", "cnn", "--count", "12", "--epochs", "1", "-o", "zoo"]
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(number)), *command],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert stopped.returncode == code, stopped.stderr
    if number != signal.SIGKILL:
        assert "the same command continues" in stopped.stderr.splitlines()[-1]
    assert not (tmp_path / "zoo").exists()
    assert len(list(tmp_path.rglob("chunk-*.safetensors"))) == 1
    assert "not complete" in mnfn("zoo", "info", "zoo", code=3)
    error = mnfn("zoo", "build", "cnn", "--count", "13", "--epochs", "1", "-o", "zoo", code=6)
    assert "unfinished build with other count" in error
    mnfn(*command)
    whole, continued = tree(whole_zoo), tree(tmp_path / "zoo")
    for files in (whole, continued):
        document = json.loads(files["zoo.json"])
        del document["made"]["command"]
        files["zoo.json"] = document
    assert whole == continued
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["zoo"]


@pytest.mark.fault("M1")
def test_two_builds_on_one_output(tmp_path):
    command = ["zoo", "build", "cnn", "--count", "400", "--epochs", "5", "-o", "zoo"]
    process = start(*command, cwd=tmp_path)
    wait_for(lambda: (tmp_path / "zoo.mnfn-partial").exists(), process)
    assert f"process {process.pid}" in fail(*command, code=6, cwd=tmp_path)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.mark.fault("K1")
def test_interrupted_training_says_how_to_go_on(tmp_path, digits_zoo):
    process = start(
        "train", "--recipe", "generalization/relu-monomial", "--zoo", digits_zoo.path, "-o", "run",
        "training.epochs=1000", cwd=tmp_path,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "run" / "metrics.jsonl").exists(), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].endswith("continue with: mnfn train --resume run")
    assert "train --resume" in fail("predict", "run", digits_zoo.path, code=3, cwd=tmp_path)
    assert "leave out" in fail("train", "--resume", "run", "training.epochs=3", code=2, cwd=tmp_path)


def test_explain(mnfn, fail, relu_run, classes_run, digits_zoo):
    name = digits_zoo.ids[0]
    shown = mnfn("explain", relu_run, digits_zoo.path, "--network", name, "-o", "picture.png")
    assert "layer" in shown and "weights move it by" in shown and Path("picture.png").stat().st_size > 5_000
    assert "exists already" in fail(
        "explain", relu_run, digits_zoo.path, "--network", name, "-o", "picture.png", code=6
    )
    document = json.loads(
        mnfn("explain", relu_run, digits_zoo.path, "--network", name, "-o", "picture.png", "--force", "--json")
    )
    assert document["output"] == "picture.png" and [moves["layer"] for moves in document["layers"]] == [1, 2, 3, 4]
    assert "name one" in fail("explain", relu_run, digits_zoo.path, "-o", "other.png", code=2)
    assert "mnfn classify reads it" in fail("explain", classes_run, digits_zoo.path, "-o", "other.png", code=2)
    assert not Path("other.png").exists()
