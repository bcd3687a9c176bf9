"""Type what docs/start.md shows, time it, and write the times and a picture into the page.

``python scripts/start_page.py`` runs the page's commands in an empty folder; ``--table`` only writes the table again.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mnfn_cli.storage.atomic import to_json
from tables import table

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "start.md"
RESULT = DOCS / "results" / "concepts" / "start.json"
PICTURE = "runs/first/predicted-vs-true.png"
START, END = "<!-- measured by scripts/start_page.py; change nothing here by hand -->\n", "<!-- end -->"


def commands() -> list[str]:
    """Return the commands of the page, without those that make its environment."""
    text = re.sub(r"<!-- not run.*?```sh.*?```", "", PAGE.read_text(), flags=re.DOTALL)
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def measure() -> dict[str, object]:
    """Run the commands in an empty folder, and return their seconds."""
    with TemporaryDirectory() as folder:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        rows = []
        for command in commands():
            before = processor()
            done = subprocess.run(
                ["bash", "-ec", command],
                cwd=folder,
                env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            rows.append({"command": command, "seconds": round(processor() - before, 1)})
        shutil.copy(Path(folder) / PICTURE, DOCS / "pictures" / "start-predicted-vs-true.png")
        test = json.loads((Path(folder) / "runs" / "first" / "result.json").read_text())["test"]
    return {"rows": rows, "tau": test["tau"]}


def processor() -> float:
    """Return the seconds of a processor that finished commands have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def times() -> str:
    """Return the table of seconds."""
    found = json.loads(RESULT.read_text())
    rows = [[f"`{row['command']}`", f"{row['seconds']:.0f}"] for row in found["rows"]]
    total = sum(row["seconds"] for row in found["rows"])
    rows.append(["all", f"{total:.0f}"])
    low, high = found["tau"]["interval"]
    said = (
        f"Measured once, with one thread. Tau was {found['tau']['value']:.2f} (95 % interval {low:.2f} to {high:.2f}); "
        "the picture is from that run."
    )
    return "\n".join(["", *table(["command", "seconds of one core"], rows), "", said, ""])


def page() -> str:
    """Return the page with the table in its place."""
    before, _, rest = PAGE.read_text().partition(START)
    return before + START + times() + END + rest.partition(END)[2]


if __name__ == "__main__":
    if "--table" not in sys.argv:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(to_json(measure()) + "\n")
    PAGE.write_text(page())
