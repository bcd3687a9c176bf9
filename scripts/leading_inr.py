"""Train the functionals of INRs that lead on zoos of new seeds, and keep what docs/inr-results.md shows of them.

python scripts/leading_inr.py FOLDER

builds the zoos in FOLDER, trains, and keeps the results in docs/results/inr/new-seeds; ``scripts/inr_results.py`` then
writes the page. What is there already in FOLDER is not made again, so an interrupted call continues.
"""

import argparse
from pathlib import Path

from inr_results import NEW_SEEDS, collect
from run_once import run_once

ZOOS = {
    "one-start": ["--images", "digits", "--seed", "4031"],
    "photos": ["--images", "photos", "--seed", "4033"],
    "ten-starts": ["--images", "digits", "--copies", "10", "--seed", "4032"],
}
RECIPES = (
    ("one-start", "classification/digits-probe"),
    *(("one-start", f"editing/digits-dilate-{editor}") for editor in ("graded", "monomial-strict", "np")),
    ("photos", "editing/photos-contrast-graded"),
    ("ten-starts", "classification/digits-graded"),
    *(("photos", f"editing/photos-contrast-{editor}") for editor in ("monomial-strict", "np")),
)
SEEDS = (0, 1, 2)


def main() -> None:
    """Make and collect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for zoo, recipe in RECIPES:
        run_once(folder, zoo, ["zoo", "build", "siren", *ZOOS[zoo]])
        for seed in SEEDS:
            run = f"{recipe.replace('/', '-')}-{seed}"
            run_once(folder, run, ["train", "--recipe", recipe, "--zoo", zoo, "--seed", str(seed)])
            collect(folder / run, NEW_SEEDS / zoo)


if __name__ == "__main__":
    main()
