"""The notebook as a page of the site: its text, its code, what it printed, and its pictures."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def page_of(notebook: Path, pictures: str) -> tuple[str, dict[str, bytes]]:
    """Return the page in Markdown, and the PNG files that it shows.

    Args:
        notebook: the stored notebook.
        pictures: the start of the pictures' names, beside the page.
    """
    found: dict[str, bytes] = {}
    lines: list[str] = []
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [source, ""]
            continue
        lines += ["```python", source, "```", ""]
        for output in cell["outputs"]:
            lines += _shown(output, pictures, found)
    return "\n".join(lines), found


def _shown(output: Any, pictures: str, found: dict[str, bytes]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{pictures}-{len(found) + 1}.png"
        found[name] = base64.b64decode("".join(data["image/png"]))
        yield from (f"![What the cell above draws]({name})", "")
    else:
        yield from ("```text", "".join(output.get("text") or data["text/plain"]).rstrip(), "```", "")
