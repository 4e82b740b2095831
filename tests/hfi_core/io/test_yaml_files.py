"""YAML that a user wrote: aliases may be many, but not stand for much."""

import pytest

from hfi_core.errors import UserError
from hfi_core.io.yaml_files import read_yaml


def test_many_aliases_of_small_values_are_read(tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text("a: &a {x: 1, y: [2, 3]}\n" + "".join(f"b{n}: {{<<: *a, x: {n}}}\n" for n in range(500)))
    assert read_yaml(path)["b499"] == {"x": 499, "y": [2, 3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1, *a]\n", "an alias stands for what it is in"),
        ("a: &a [" + "x, " * 300 + "]\nb: [" + "*a, " * 70 + "]\n", "aliases stand for more than 20000 values"),
        ("b: *a\n", "undefined alias"),
    ],
)
def test_an_alias_of_itself_of_too_much_or_of_nothing_is_refused(tmp_path, text, message):
    path = tmp_path / "rows.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_yaml(path)
