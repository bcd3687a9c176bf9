"""Files that are no recipe: each is refused in one line that names the file and the line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnfn_cli.errors import RecipeError, StorageError
from mnfn_cli.recipe.reader import MAX_BYTES, read_file, read_text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "recipe.yaml: empty; a recipe has keys such as 'version: 1'"),
        ("# only a comment\n", "recipe.yaml: empty; a recipe has keys such as 'version: 1'"),
        ("---\n", "recipe.yaml: empty; a recipe has keys such as 'version: 1'"),
        ("- a\n- b\n", "recipe.yaml: a list at the top; a recipe has keys such as 'version: 1' there"),
        ("5", "recipe.yaml: a single value at the top; a recipe has keys such as 'version: 1' there"),
        ("a: 1\n---\nb: 2\n", "recipe.yaml:2: a second document begins here; a recipe is one document"),
        ("a: &x 1\n", "recipe.yaml:1: the anchor '&x'; leave it out"),
        ("a: 1\nb: !!python/name:os.system x\n", "recipe.yaml:2: the tag 'tag:yaml.org,2002:python/name:os.system'"),
        ("a: !x {}\n", "recipe.yaml:1: the tag '!x'; leave it out"),
        ("a: ! x\n", "recipe.yaml:1: the tag '!'; leave it out"),
        ("a:\n\tb: 1\n", "recipe.yaml:2: a tab stands where YAML allows only spaces; indent with spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "recipe.yaml:3: a tab stands where YAML allows only spaces"),
        ("a: 1\nb: x\0y\n", "recipe.yaml:2: the character U+0000 is not allowed"),
        ("a: 1\nb: [1, 2\n", "recipe.yaml:3: not valid YAML: "),
        ("a: 1\n  b: 2\n", "recipe.yaml:2: not valid YAML: "),
        ('a: "\\UFFFFFFFF"', "recipe.yaml:1: not valid YAML: an escape or a version number out of range"),
        ("%YAML 9.0\n---\na: 1\n", "recipe.yaml:1: not valid YAML: "),
        (b"a: 1\nb: \xff\n", "recipe.yaml:2: not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "recipe.yaml:1: not UTF-8; save the file as UTF-8"),
        ("a: " + "[" * 3000 + "]" * 3000, "recipe.yaml:1: nested deeper than 20 levels"),
        ("a: " + "{b: " * 3000, "recipe.yaml:1: nested deeper than 20 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(1000)), "recipe.yaml:21: nested deeper than 20 levels"),
        ("- " * 3000, "recipe.yaml:1: nested deeper than 20 levels"),
        (b"#" * (MAX_BYTES + 1), "recipe.yaml: larger than 1 MiB, so not a recipe"),
    ],
)
def test_no_recipe(faults: Callable[..., list[str]], content: str | bytes, fault: str) -> None:
    (found,) = faults(content)
    assert found.startswith(fault)


def test_all_anchors_and_aliases_of_a_bomb_are_named(faults: Callable[..., list[str]]) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert faults(bomb) == [
        "recipe.yaml:1: the anchor '&a'; leave it out",
        "recipe.yaml:2: the anchor '&b'; leave it out",
        *["recipe.yaml:2: the alias '*a'; write the value out"] * 2,
        *["recipe.yaml:3: the alias '*b'; write the value out"] * 2,
    ]


def test_duplicate_keys_and_other_keys_are_collected() -> None:
    document = read_text("a: 1\nb: {c: 1, c: 2}\na: 3\n1: x\n[k]: y\nno: z\n", "f")
    assert [str(fault) for fault in document.faults] == [
        "f:2: the key 'c' stands here a second time; keep one",
        "f:3: the key 'a' stands here a second time; keep one",
        "f:4: '1' stands as a key; keys are words",
        "f:5: a collection stands as a key; keys are words",
    ]
    assert document.content == {"a": 1, "b": {"c": 1}, "no": "z"}


def test_twenty_levels_and_a_byte_order_mark_are_fine() -> None:
    assert read_text("a: " + "[" * 19 + "]" * 19, "f").content
    assert read_text("\ufeffa: 1", "f").content == {"a": 1}


def test_a_folder_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a folder, a pipe or a device; a recipe is a file"):
        read_file(tmp_path)
    with pytest.raises(RecipeError, match="no such file"):
        read_file(tmp_path / "none.yaml")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    with pytest.raises(StorageError, match=r"loop\.yaml: cannot be read: "):
        read_file(loop)


@given(st.text(st.sampled_from("a1:-[]{},&*!|>'\"%@`#?~ \n\t\0é\\U") | st.characters(), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_text(text, "f")
    except RecipeError as error:
        assert all(fault.startswith("f:") and "\n" not in fault for fault in error.faults)
