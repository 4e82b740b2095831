"""Sets of candidates are joined, each picture with one provenance; records of rounds are read and refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.candidates.manifest import AttackOrigin, Candidate, join_manifests
from hfi_core.candidates.rounds import ROUNDS, read_rounds, write_rounds
from hfi_core.errors import UserError
from hfi_core.feedback.labels import assign_split
from tests.support.judging import candidate
from tests.support.rounds import RECORD

sets = st.lists(st.lists(st.integers(0, 10**6), max_size=8), max_size=5).filter(
    lambda numbers: len({n for some in numbers for n in some}) == sum(map(len, numbers))
)
"""Numbers of pictures by set, each once."""


def rows_of(number_of_set: int, numbers: list[int]) -> list[Candidate]:
    return [candidate(f"set-{number_of_set}-{n}", f"{n:064x}") for n in numbers]


@given(sets, st.floats(0, 0.99))
def test_a_further_set_changes_neither_a_candidate_nor_its_part(numbers, held_out):
    manifests: dict[Path, list[Candidate]] = {}
    before: dict[str, Candidate] = {}
    parts: dict[str, str] = {}
    for number, of_set in enumerate(numbers):
        manifests[Path(str(number))] = rows_of(number, of_set)
        joined = {row.id: row for row in join_manifests(manifests)}
        assert list(joined) == sorted(joined) and before.items() <= joined.items()
        now = {id: assign_split(id, held_out) for id in joined}
        assert parts.items() <= now.items()
        before, parts = joined, now
    assert len(before) == sum(map(len, numbers))


@pytest.mark.parametrize(
    ("other", "words"),
    [(candidate("round-1-b", "1" * 64), "the same picture"), (candidate("drawn-a", "2" * 64), "the same id")],
)
def test_a_picture_or_an_id_in_two_sets_is_refused_by_name(other, words):
    manifests = {Path("drawn/badge"): [candidate("drawn-a", "1" * 64)], Path("data/candidates/round-1"): [other]}
    with pytest.raises(UserError, match=words) as raised:
        join_manifests(manifests)
    assert all(name in str(raised.value) for name in ("drawn/badge (drawn-a)", f"round-1 ({other.id})", "To fix this"))


def test_what_an_attack_brought_back_says_so_in_its_row_and_others_say_nothing():
    origin = AttackOrigin(
        round=2, row="anchored", weights="b" * 64, attack="word", attacker="badge.2", adversarial_prompt="a red <x>"
    )
    row = candidate("round-2-a").model_copy(update={"attack": origin})
    assert Candidate.model_validate_json(row.model_dump_json()) == row
    assert "attack" not in candidate("drawn-a").model_dump()


def test_records_are_read_back_and_a_folder_without_any_has_no_file(tmp_path):
    write_rounds(tmp_path, [])
    assert not (tmp_path / ROUNDS).exists() and read_rounds(tmp_path) == []
    records = [RECORD, RECORD.model_copy(update={"number": 2})]
    write_rounds(tmp_path, records)
    assert read_rounds(tmp_path) == records


def test_an_invalid_record_is_named_with_its_line_and_the_remedy(tmp_path):
    (tmp_path / ROUNDS).write_text(RECORD.model_dump_json() + "\n{}\n")
    with pytest.raises(UserError, match=r"rounds.jsonl, line 2: .*\n?.*dvc checkout"):
        read_rounds(tmp_path)
