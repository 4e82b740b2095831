"""Simulated annotators answer as the judge reads, with their own errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hfi_core.candidates.manifest import read_manifest
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.scenes import BADGES, SIGNS
from hfi_core.embedded.simulated_crowd import (
    Impression,
    answer_questions,
    draw_annotators,
    rank_pictures,
    simulate_judgements,
    view_candidates,
)
from hfi_core.params import Concept, Crowd
from tests.support.judging import candidate, draw_candidates

DIGEST = "sha256:" + "0" * 64
SURE = Crowd(annotators=3, error=0, cant_tell=0, source=None, revision=None, digest=DIGEST)
HASTY = Crowd(annotators=4, error=0.2, cant_tell=0.1, source=None, revision=None, digest=DIGEST)


def _concept(text="badge", feedback="binary"):
    initial = {"objectionable": "badge", "accepted": "badge"}
    return Concept(text=text, prompts=(f"a {text}",), feedback=feedback, initial=initial)


def _impressions(count=40, readable=True):
    """Pictures of which every second one is flagged. The first style grows stronger, the second one weaker."""
    return [
        Impression(candidate(f"p{k:04d}"), readable, readable, 0.9 if k % 2 else 0.1, (k / count, 1 - k / count))
        for k in range(count)
    ]


def test_annotators_without_errors_answer_as_the_judge_reads():
    for annotator in draw_annotators("crowd", SURE, 0):
        answers = [judgement.answer for judgement in answer_questions(annotator, "badge", _impressions(6), 0)]
        assert answers == ["no", "yes"] * 3


def test_annotators_have_their_own_rates_around_those_of_the_crowd():
    annotators = draw_annotators("crowd", _of_size(HASTY, 100), 0)
    assert len({each.error for each in annotators}) == 100
    assert np.mean([each.error for each in annotators]) == pytest.approx(HASTY.error, abs=0.02)
    assert np.mean([each.cant_tell for each in annotators]) == pytest.approx(HASTY.cant_tell, abs=0.01)
    annotator, impressions = annotators[0], _impressions(4000)
    answers = [judgement.answer for judgement in answer_questions(annotator, "badge", impressions, 0)]
    right = [
        (answer == "yes") == (impression.flagged > 0.5)
        for answer, impression in zip(answers, impressions, strict=True)
        if answer != "cant_tell"
    ]
    assert answers.count("cant_tell") / 4000 == pytest.approx(annotator.cant_tell, abs=0.02)
    assert 1 - np.mean(right) == pytest.approx(annotator.error, abs=0.02)


def _of_size(crowd: Crowd, count: int) -> Crowd:
    return crowd.model_copy(update={"annotators": count})


def test_unreadable_pictures_are_answered_with_cant_tell():
    made = simulate_judgements(BADGES, "crowd", HASTY, "badge", _concept(), _impressions(readable=False), 0)
    assert {judgement.answer for judgement in made} == {"cant_tell"}


def test_an_answer_does_not_depend_on_other_pictures_or_annotators():
    impressions = _impressions()
    every = simulate_judgements(BADGES, "crowd", HASTY, "badge", _concept(), impressions, 0)
    some = simulate_judgements(BADGES, "crowd", _of_size(HASTY, 2), "badge", _concept(), impressions[::-2], 0)
    assert {judgement.id for judgement in some} < {judgement.id for judgement in every}
    assert set(some) < set(every)
    assert simulate_judgements(BADGES, "crowd", HASTY, "badge", _concept(), impressions, 1) != every


def test_rankings_follow_the_strength_of_the_style_that_the_concept_names():
    impressions = _impressions()
    positions = {impression.picture.id: k for k, impression in enumerate(impressions)}
    annotator = draw_annotators("crowd", SURE, 0)[0]
    for world in (BADGES, SIGNS):
        first, second = world.styles
        for text, sign in ((f"{world.concept} in the style of {first}", -1), (second, 1)):
            for judgement in rank_pictures(annotator, world, "style", text, impressions, 0):
                order = [sign * positions[name] for (name,) in judgement.groups]
                assert order == sorted(order)


def test_other_rankings_follow_the_probability_of_a_flagged_emblem():
    impressions = [replace(impression, flagged=k / 40) for k, impression in enumerate(_impressions())]
    for judgement in rank_pictures(draw_annotators("crowd", SURE, 0)[0], BADGES, "badge", "badge", impressions, 0):
        names = [name for (name,) in judgement.groups]
        assert names == sorted(names, reverse=True)


def test_a_style_of_another_world_is_no_style():
    """Its name is any other word to this crowd: the ranking follows what is flagged."""
    impressions = [replace(impression, flagged=k / 40) for k, impression in enumerate(_impressions())]
    annotator = draw_annotators("crowd", SURE, 0)[0]
    for judgement in rank_pictures(annotator, BADGES, "style", "badge in the style of orla", impressions, 0):
        names = [name for (name,) in judgement.groups]
        assert names == sorted(names, reverse=True)


def test_each_annotator_ranks_every_picture_twice_once_in_shared_groups():
    impressions = _impressions(23)
    groups = {}
    for annotator in draw_annotators("crowd", HASTY, 0):
        made = list(rank_pictures(annotator, BADGES, "badge", "badge", impressions, 0))
        ranked = [name for ranking in made for name in ranking.pictures]
        assert sorted(ranked) == sorted(2 * [impression.picture.id for impression in impressions])
        assert {len(ranking.pictures) for ranking in made} <= {4, 5}
        groups[annotator.name] = {frozenset(ranking.pictures) for ranking in made}
    shared = frozenset.intersection(*map(frozenset, groups.values()))
    assert sum(map(len, shared)) == 23


def test_no_annotator_ranks_the_same_pictures_twice():
    made = simulate_judgements(BADGES, "crowd", SURE, "badge", _concept(feedback="ranking"), _impressions(4), 0)
    assert len(made) == 3


def test_unreadable_pictures_are_not_placed():
    made = simulate_judgements(
        BADGES, "crowd", SURE, "badge", _concept(feedback="ranking"), _impressions(readable=False), 0
    )
    assert all(judgement.groups == () and judgement.not_applicable for judgement in made)


@pytest.mark.parametrize("feedback", ["binary", "ranking"])
def test_every_judgement_is_marked_as_simulated_and_has_no_time(feedback):
    made = simulate_judgements(BADGES, "crowd", HASTY, "badge", _concept(feedback=feedback), _impressions(), 0)
    assert all(each.simulated and each.shown_at is None and each.answered_at is None for each in made)
    ids = [judgement.id for judgement in made]
    assert ids == sorted(set(ids))


def test_impressions_depend_neither_on_the_block_nor_on_threads(tmp_path, miniature):
    rows = draw_candidates(tmp_path, 40)
    judge = load_judge_network(miniature / "judges" / "annotators")
    every = view_candidates(judge, tmp_path, read_manifest(tmp_path))
    assert view_candidates(judge, tmp_path, rows[35:]) == every[35:]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert view_candidates(judge, tmp_path, rows) == every
    assert torch.get_num_threads() == 1
    torch.set_num_threads(threads)
