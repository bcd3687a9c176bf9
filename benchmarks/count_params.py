"""Time of ``mnfn count-params``, the paper's three tables, against ``import torch`` alone, side by side."""

import argparse
import subprocess
import sys
from pathlib import Path

from timing import interleaved


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    mnfn = str(Path(sys.executable).with_name("mnfn"))

    def run(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    seconds = interleaved(
        {
            "import": lambda: run(sys.executable, "-c", "import torch"),
            "tables": lambda: run(mnfn, "count-params"),
            "growth": lambda: run(mnfn, "count-params", "--growth"),
        },
        arguments.rounds,
        warmup=2,
    )
    print(f"import torch                {1e3 * seconds['import']:6.0f} ms")
    for name, command in (("tables", "mnfn count-params"), ("growth", "mnfn count-params --growth")):
        print(f"{command:26}  {1e3 * seconds[name]:6.0f} ms, ratio {seconds[name] / seconds['import']:5.2f}")


if __name__ == "__main__":
    main()
