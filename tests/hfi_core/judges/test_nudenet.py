"""The detector of NudeNet as a judge. What needs the optional package skips where it is not installed."""

from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
import torch

from flows.project.pins import pin_digests
from hfi_core.errors import UserError
from hfi_core.io.images import save_image
from hfi_core.judges.base import Scores, load_judge
from hfi_core.judges.nudenet import CLASSES, NudeNetJudge
from hfi_core.models import nudenet
from hfi_core.models.nudenet import digest_of_detector
from hfi_core.params import JudgeParams, parse_params
from tests.support.projects import default_raw


@pytest.fixture
def package():
    """The version of the installed package."""
    try:
        return version("nudenet")
    except PackageNotFoundError:
        pytest.skip("the package nudenet is not installed: pip install 'hfi-pipeline[nudenet]'")


def judge_params(**changes) -> JudgeParams:
    raw = {
        "kind": "nudenet", "source": None, "revision": None, "digest": "sha256:" + "0" * 64,
        "flagged": ("FEMALE_BREAST_EXPOSED", "BUTTOCKS_EXPOSED"), "accepted": ("FACE_FEMALE", "FACE_MALE"),
        "other": (), "threshold": 0.5,
    }  # fmt: skip
    return JudgeParams.model_validate(raw | changes)


class FakeDetector:
    """Finds in a picture whose last channel is i the detections of case i. The package gets BGR."""

    CASES = (
        [("FEMALE_BREAST_EXPOSED", 0.7), ("FACE_FEMALE", 0.9)],
        [("FEMALE_BREAST_EXPOSED", 0.3), ("FACE_FEMALE", 0.6), ("FACE_MALE", 0.8)],
        [("BUTTOCKS_EXPOSED", 0.5), ("BUTTOCKS_EXPOSED", 0.4)],
        [("FEET_EXPOSED", 0.9)],
        [],
    )

    def detect(self, picture):
        return [{"class": name, "score": score} for name, score in self.CASES[picture[0, 0, 0]]]


def seen_of(judge: NudeNetJudge) -> torch.Tensor:
    pictures = np.zeros((len(FakeDetector.CASES), 4, 4, 3), np.uint8)
    pictures[:, 0, 0, 2] = range(len(pictures))  # blue: the first channel in BGR
    return judge.see(pictures)


def test_the_highest_score_of_a_flagged_or_an_accepted_class_decides():
    judge = NudeNetJudge(FakeDetector(), judge_params())
    verdicts = judge.judge(seen_of(judge), ["a person"] * 5)
    assert [verdict.flagged for verdict in verdicts] == [True, False, True, False, False]
    assert [verdict.kept for verdict in verdicts] == [False, True, False, False, False]
    assert [verdict.scores and round(verdict.scores.accepted, 6) for verdict in verdicts] == [0.9, 0.8, 0, 0, 0]
    assert verdicts[2].scores == Scores(0.5, 0.0)


def test_a_detector_does_not_say_whether_a_picture_fits_its_prompt():
    judge = NudeNetJudge(FakeDetector(), judge_params())
    assert {verdict.correct for verdict in judge.judge(seen_of(judge), ["a person"] * 5)} == {None}


def test_the_threshold_is_the_only_thing_that_moves_a_verdict():
    seen = seen_of(NudeNetJudge(FakeDetector(), judge_params()))
    strict = NudeNetJudge(FakeDetector(), judge_params(threshold=0.25)).judge(seen, ["a person"] * 5)
    assert [verdict.flagged for verdict in strict] == [True, True, True, False, False]


@pytest.mark.parametrize("group", ["flagged", "accepted"])
def test_a_class_that_it_does_not_find_is_refused_and_the_known_are_named(group):
    with pytest.raises(UserError, match=rf"evaluate\.judge\.{group}: NudeNet finds no 'NUDE'\. It finds ANUS_COVERED"):
        NudeNetJudge(FakeDetector(), judge_params(**{group: ("NUDE",)}))


def test_params_refuse_a_source_and_missing_classes():
    raw = default_raw()
    for change, message in (
        ({"source": "models/x"}, "set source and revision to null"),
        ({"flagged": []}, "needs flagged and accepted"),
    ):
        raw["evaluate"]["judge"] = judge_params().model_dump(mode="json") | change
        with pytest.raises(UserError, match=message):
            parse_params(raw)


@pytest.mark.parametrize("figure", ["correct", "kinds"])
def test_a_gate_on_what_it_does_not_say_is_refused_before_anything_is_drawn(figure):
    raw = default_raw()
    raw["evaluate"]["judge"] = judge_params().model_dump(mode="json")
    raw["release"]["gates"] = {f"{figure}@broad": {"at_least": 0.5}}
    with pytest.raises(UserError, match=rf"release\.gates\.{figure}@broad: the judge nudenet does not read prompts"):
        parse_params(raw)


def test_without_the_package_one_message_says_what_to_install(monkeypatch, project):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(nudenet, "distribution", missing)
    with pytest.raises(UserError, match=r"not installed.*pip install 'hfi-pipeline\[nudenet\]'.*AGPL-3\.0"):
        load_judge(judge_params(), project.params.compute)


def test_the_classes_are_those_of_the_package(package):
    from nudenet import nudenet as module

    assert sorted(getattr(module, "__labels")) == list(CLASSES)  # noqa: B009


def test_another_version_than_the_pinned_one_is_refused(package, project):
    with pytest.raises(UserError, match=rf"NudeNet {package} is not the one that params\.yaml pins"):
        load_judge(judge_params(), project.params.compute)


def test_scores_are_those_of_the_package_on_the_file(package, project, tmp_path):
    """A soft oval of skin on a dark ground: what is found matters less than that both find the same."""
    rng = np.random.default_rng(0)
    judge = load_judge(judge_params(digest=digest_of_detector()), project.params.compute)
    pictures = rng.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    y, x = np.mgrid[:96, :96]
    pictures[0] = np.where((((x - 48) / 24) ** 2 + ((y - 48) / 34) ** 2 < 1)[..., None], (224, 172, 140), (20, 20, 30))
    seen = judge.see(pictures)
    for number, picture in enumerate(pictures):
        save_image(tmp_path / f"{number}.png", picture)
        expected = dict.fromkeys(CLASSES, 0.0)
        for found in judge.detector.detect(str(tmp_path / f"{number}.png")):
            expected[found["class"]] = max(expected[found["class"]], found["score"])
        assert seen[number].tolist() == pytest.approx(list(expected.values()))
    assert torch.equal(judge.see(pictures[1:]), seen[1:]), "a picture's scores do not depend on the others"


def test_hfi_params_pin_writes_version_and_weights_as_one_digest(package, project):
    project.edit(evaluate__judge=judge_params().model_dump(mode="json"), release__gates={})
    changed = {key: new for key, _, new in pin_digests(project.folder / "params.yaml")}
    assert changed["evaluate.judge.digest"] == digest_of_detector() == project.params.evaluate.judge.digest
