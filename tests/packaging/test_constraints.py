"""`constraints.txt` pins exactly, names no place, and covers what `pyproject.toml` asks for."""

import csv
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.projects import REPOSITORY

LINES = (REPOSITORY / "constraints.txt").read_text().splitlines()
PINS = {canonicalize_name(line.split("==")[0]): line.split("==")[1].split()[0] for line in LINES if "==" in line}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
WANTED = [*PROJECT["dependencies"], *(need for needs in PROJECT["optional-dependencies"].values() for need in needs)]


def test_every_line_is_one_exact_version_and_nothing_else():
    exact = re.compile(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.+!]+( ;.*)?")
    assert [line for line in LINES if not exact.fullmatch(line)] == []


def test_no_line_names_an_address_a_path_or_an_index():
    assert [line for line in LINES if re.search(r"://|@|/|--|index", line)] == []


def test_what_torch_pins_itself_is_left_out():
    assert [line for line in LINES if re.match(r"nvidia-|cuda-|triton", line)] == []


def test_names_are_sorted_and_stand_once():
    assert sorted(PINS) == list(PINS) and len(PINS) == len(LINES)


def test_every_dependency_is_covered_by_a_version_that_it_allows():
    for text in WANTED:
        need = Requirement(text)
        name = canonicalize_name(need.name)
        assert name in PINS, f"{text} is not in constraints.txt"
        assert need.specifier.contains(Version(PINS[name]), prereleases=True), f"{text} against {PINS[name]}"


def test_torch_is_pinned_alike_in_both_files():
    (torch,) = [need for need in map(Requirement, PROJECT["dependencies"]) if need.name == "torch"]
    assert str(torch.specifier) == f"=={PINS['torch']}"


def test_the_list_of_licences_names_every_package_in_its_pinned_version():
    with (REPOSITORY / "docs/reference/licences.csv").open(encoding="utf-8", newline="") as stream:
        listed = {canonicalize_name(row["Name"]): row["Version"] for row in csv.DictReader(stream)}
    elsewhere = {"async-timeout"}  # asked for before Python 3.11.3 only
    wanted = {name: version for name, version in PINS.items() if name not in elsewhere}
    assert {name: version.split("+")[0] for name, version in listed.items() if name in wanted} == wanted
