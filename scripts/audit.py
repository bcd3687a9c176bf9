"""Ask the package index for known vulnerabilities of the pinned packages, with pip-audit.

``python scripts/audit.py AUDITOR`` runs the program ``AUDITOR``. It ends with 1 if a pinned version has a known
vulnerability. Without a network, or where the index knows nothing of vulnerabilities, it says so and ends with 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PINNED = Path(__file__).parents[1] / "constraints.txt"
SECONDS = 300


def summarize(report: dict[str, Any]) -> tuple[list[str], bool]:
    """Return what pip-audit's report says, in lines, and whether there is a vulnerability.

    >>> packages = [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]
    >>> summarize({"dependencies": packages})
    (['asked about 1 of 2 pinned packages: no known vulnerability'], False)
    """
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    lines = []
    for package in asked:
        for known in package["vulns"]:
            mended = f"; mended in {', '.join(known['fix_versions'])}" if known.get("fix_versions") else ""
            lines.append(f"{package['name']} {package['version']}: {known['id']}{mended}")
    found = f"{len(lines)} known vulnerabilities" if lines else "no known vulnerability"
    return [*lines, f"asked about {len(asked)} of {len(packages)} pinned packages: {found}"], bool(lines)


def ask(auditor: str) -> dict[str, Any] | None:
    """Return pip-audit's report on the pinned packages; None if it could not make one."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--output", str(out)]
        try:
            subprocess.run([auditor, "-r", str(PINNED), *options], capture_output=True, timeout=SECONDS, check=False)
            report = json.loads(out.read_text())
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
    return report if isinstance(report, dict) and report.get("dependencies") else None


def main() -> None:
    """Print the report, and end with 1 if there is a vulnerability."""
    report = ask(sys.argv[1])
    if report is None or all("skip_reason" in package for package in report["dependencies"]):
        print("audit: the package index could not be asked; whether the pinned packages are vulnerable is not known")
        return
    lines, vulnerable = summarize(report)
    print("\n".join(f"audit: {line}" for line in lines))
    sys.exit(vulnerable)


if __name__ == "__main__":
    main()
