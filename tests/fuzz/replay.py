"""Read one damaged file of the fuzz again: ``python tests/fuzz/replay.py KIND NUMBER`` shows where it fails."""

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "zoo" / "importers")]

from kinds import KINDS  # noqa: E402 - it stands beside this file

if __name__ == "__main__":
    kind = next(kind for kind in KINDS if kind.name == sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        seed, content = kind.damaged(int(sys.argv[2]), kind.seeds(Path(folder)))
        seed.file.parent.mkdir(exist_ok=True)
        seed.file.write_bytes(content)
        print(seed.file.name, len(content), content[:2000])
        seed.read(seed.file)
