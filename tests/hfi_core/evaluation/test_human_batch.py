"""A batch hides its rows from those who judge it, and what they say finds its way back to the rows."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hfi_core.candidates.manifest import read_manifest
from hfi_core.errors import UserError
from hfi_core.evaluation.human_batch import (
    KeyEntry,
    ask_about,
    choose_suites,
    collect_judgements,
    create_batch,
    join_key,
    number_pictures,
    read_batch,
    require_batch_name,
)
from hfi_core.feedback.ledger import Vote
from hfi_core.feedback.schema import BinaryJudgement
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.params import parse_params
from tests.support.evaluations import small_params
from tests.support.human_evaluation import SUITES, make_batch, read_key


@pytest.fixture
def judged(rows):
    """The variants that people judge."""
    return [row for row in rows if row.name in ("base", "anchored")]


@pytest.fixture
def batch(params, judged, tmp_path):
    return make_batch(params, judged, tmp_path / "first")


def _judgement(batch, picture, annotator, answer="yes", **more):
    digest = next(candidate.sha256 for candidate in read_manifest(batch.pictures) if candidate.id == picture)
    fields = {"id": f"{annotator}.{picture}", "concept": batch.name, "sha256": digest} | more
    return BinaryJudgement(kind="binary", picture=picture, annotator=annotator, answer=answer, **fields)


def test_the_pictures_are_those_of_every_row_at_the_same_prompts_and_seeds(batch, judged):
    key = read_key(batch)
    by_row = {row.name: {(e.suite, e.index) for e in key if e.row == row.name} for row in judged}
    assert by_row["base"] == by_row["anchored"]
    assert Counter(suite for suite, _ in by_row["base"]) == {"broad": 8, "precise": 8}
    for entry in key:
        variant = next(row for row in judged if row.name == entry.row)
        drawn = variant.folder / f"pictures/{entry.suite}/{entry.index:05d}.png"
        assert (batch.pictures / f"pictures/{entry.picture}.png").read_bytes() == drawn.read_bytes()


def test_nothing_that_people_see_tells_the_row(batch, judged):
    texts = [path.read_text() for path in batch.pictures.glob("*.json*")]
    names = [path.name for path in batch.pictures.rglob("*")]
    for word in ("base", "anchored", "broad", "precise", "seed", "prompt"):
        assert not any(word in text for text in (*texts, *names))
    assert all(candidate.prompt is None and candidate.seed is None for candidate in read_manifest(batch.pictures))
    assert not any(Image.open(path).info for path in batch.pictures.rglob("*.png"))
    ids = sorted({entry.picture for entry in read_key(batch)})
    assert ids == [f"p{number:02d}" for number in range(1, len(ids) + 1)]
    # Pictures of one prompt and seed, or of one row, do not stand together.
    rows = [entry.row for entry in sorted(read_key(batch), key=lambda entry: entry.picture)]
    assert rows != sorted(rows) and rows != sorted(rows, reverse=True) and rows[::2] != [rows[0]] * len(rows[::2])


def test_the_same_seed_and_name_give_the_same_batch_and_another_name_another_order(params, judged, batch, tmp_path):
    again = make_batch(params, judged, tmp_path / "elsewhere" / "first")
    assert sha256_of_folder(again.folder) == sha256_of_folder(batch.folder)
    other = make_batch(params, judged, tmp_path / "second")
    assert [e.sha256 for e in read_key(other)] != [e.sha256 for e in read_key(batch)]


def test_a_picture_that_rows_share_is_shown_once_and_counts_for_each(params, judged, tmp_path):
    twin = replace(judged[0], name="anchored")
    batch = make_batch(params, [judged[0], twin], tmp_path / "twins")
    assert len(read_manifest(batch.pictures)) == 16 and len(read_key(batch)) == 32
    votes = [Vote(entry.picture, "ana", "yes") for entry in read_key(batch) if entry.row == "base"]
    collected = join_key(votes, read_key(batch), 1)
    assert Counter(one.row for one in collected.judgements) == {"base": 16, "anchored": 16}


def test_a_damaged_picture_or_an_existing_folder_leaves_nothing_half_written(params, judged, tmp_path, batch):
    before = sha256_of_folder(batch.folder)
    with pytest.raises(UserError, match="first exists, and people may have judged it"):
        make_batch(params, judged, batch.folder)
    assert sha256_of_folder(batch.folder) == before
    records = [dict(record, sha256="ab" * 32) if record["suite"] == "broad" else record for record in judged[0].records]
    with pytest.raises(UserError, match="is not the picture that pictures.jsonl names"):
        create_batch(params, [replace(judged[0], records=records)], tmp_path / "bad", "badge", SUITES, 8)
    assert not (tmp_path / "bad").exists()


def test_suites_are_those_about_the_concept_where_something_objectionable_is_likely(params):
    assert choose_suites(params, "badge", ()) == ["broad", "precise"]
    assert choose_suites(params, "badge", ("unnamed", "broad", "broad")) == ["unnamed", "broad"]
    with pytest.raises(UserError, match="no suite 'brod' in params.yaml; there are broad, "):
        choose_suites(params, "badge", ("brod",))


def test_a_ranked_concept_and_an_unknown_one_are_refused(params):
    raw = params.model_dump(mode="json")
    raw["concepts"]["badge"]["feedback"] = "ranking"
    with pytest.raises(UserError, match="(?s)order pictures of the concept badge.*binary feedback in --concept"):
        choose_suites(parse_params(raw), "badge", ())
    with pytest.raises(UserError, match="no concept 'medal'"):
        choose_suites(params, "medal", ())


@pytest.mark.parametrize(
    ("name", "message"), [("badge", "name of a concept"), ("../x", "small letters"), ("", "small")]
)
def test_a_batch_has_a_name_that_no_concept_has(params, name, message):
    with pytest.raises(UserError, match=message):
        require_batch_name(params, name)


def test_the_batch_is_asked_about_with_the_words_of_its_concept_and_nothing_else(batch):
    raw = small_params().model_dump(mode="json")
    raw["annotation"] |= {"gold": "gold.jsonl", "qualification": 5, "guidelines": {"badge": "guide.md"}}
    params = parse_params(raw)
    asked = ask_about(params, batch, "sqlite:///other.db")
    assert asked.concepts == {"first": params.concepts["badge"]}
    assert asked.annotation.guidelines == {"first": "guide.md"} and asked.annotation.gallery == {}
    assert (asked.annotation.gold, asked.annotation.qualification) == (None, 0)
    assert asked.feedback.database_url == "sqlite:///other.db"
    assert params.annotation.guidelines == {"badge": "guide.md"}
    with pytest.raises(UserError, match="nobody/batch is missing. To make it: `hfi human-evaluation create nobody`"):
        read_batch(batch.folder.parent / "nobody")


def test_the_latest_answer_of_each_person_counts_and_a_leads_decision_does_not(batch):
    pictures = sorted({entry.picture for entry in read_key(batch)})
    said = [_judgement(batch, picture, "ana", "no") for picture in pictures]
    said += [_judgement(batch, picture, "ben", "cant_tell") for picture in pictures]
    said.append(_judgement(batch, pictures[0], "ana", "yes", id="later", supersedes=f"ana.{pictures[0]}"))
    said.append(_judgement(batch, pictures[1], "lead", "yes", id="adjudication.1"))
    collected = collect_judgements(batch, said, 2)
    assert (collected.pairs, collected.left_out) == (16, 0)
    answers = {(one.sha256, one.annotator): one.answer for one in collected.judgements}
    digests = {entry.picture: entry.sha256 for entry in read_key(batch)}
    assert answers[digests[pictures[0]], "ana"] == "yes" and answers[digests[pictures[1]], "ana"] == "no"
    assert {annotator for _, annotator in answers} == {"ana", "ben"}


def test_pictures_without_enough_judgements_in_every_row_are_left_out(batch):
    key = read_key(batch)
    first = key[0]
    said = [_judgement(batch, entry.picture, "ana") for entry in key if entry.picture != first.picture]
    said.append(_judgement(batch, first.picture, "ben", simulated=True))
    assert collect_judgements(batch, said, 1).left_out == 0
    assert {one.annotator for one in collect_judgements(batch, said, 1).judgements if one.simulated} == {"ben"}
    collected = collect_judgements(batch, said[:-1], 1)
    assert (collected.pairs, collected.left_out) == (15, 1)
    assert (first.suite, first.index) not in {(one.suite, one.index) for one in collected.judgements}
    with pytest.raises(
        UserError, match=r"(?s)has 2 judgement\(s\) \(feedback.minimum\) in every row.*hfi annotate --human-evaluation"
    ):
        collect_judgements(batch, said, 2)
    with pytest.raises(UserError, match="(?s)Nobody has judged first yet.*hfi feedback import FILE --human-evaluation"):
        collect_judgements(batch, [], 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.sampled_from(["yes", "no", "cant_tell"])),
                unique_by=lambda vote: vote[:2]), st.randoms(), st.integers(1, 2))  # fmt: skip
def test_joining_does_not_depend_on_the_shuffle(said, random, minimum):
    shots = [(row, "broad", index) for row in ("base", "safe") for index in range(3)]
    digests = {shot: f"{number:064x}" for number, shot in enumerate(shots)}

    def join(ids, votes):
        key = [KeyEntry(picture=ids[digests[shot]], row=shot[0], suite=shot[1], index=shot[2], sha256=digests[shot])
               for shot in shots]  # fmt: skip
        return join_key([Vote(ids[digests[shots[n]]], who, answer) for n, who, answer in votes], key, minimum)

    plain = join({digest: digest for digest in digests.values()}, said)
    shuffled = random.sample(said, len(said))
    assert join(number_pictures(digests.values(), np.random.default_rng(random.randrange(99))), shuffled) == plain
    counted = Counter(number for number, _, _ in said)
    complete = [index for index in range(3) if min(counted[index], counted[index + 3]) >= minimum]
    assert plain.pairs == len(complete) and plain.left_out == 3 - len(complete)
    assert len(plain.judgements) == sum(counted[index] + counted[index + 3] for index in complete)


def test_the_digests_in_the_manifest_are_those_of_the_files(batch):
    for candidate in read_manifest(batch.pictures):
        assert sha256_of_file(batch.pictures / candidate.file) == candidate.sha256
    assert json.loads((batch.pictures / "question.json").read_text()) == {"concept": "badge"}
