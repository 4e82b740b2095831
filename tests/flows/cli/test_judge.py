"""`hfi judge fit`: answers that nothing else learns from become a judge that params can name."""

import re

import pytest
import yaml

from hfi_core.feedback.labels import Label, assign_split, write_labels
from hfi_core.io.json_files import read_json
from hfi_core.models.weights import digest_of_weights
from tests.support.judging import draw_candidates, is_flagged
from tests.support.projects import read_raw, write_raw


@pytest.fixture
def judged(fake_project):
    """A project with candidates and labels, some of which are kept for a judge."""
    fake_project.edit(feedback__held_out_for_judge=0.6)
    candidates = draw_candidates(fake_project.folder / "candidates/badge", 70)
    labels = [
        Label(one.id, one.sha256, float(is_flagged(one)), 1, 1, 0, assign_split(one.id, 0.3, 0.6)) for one in candidates
    ]
    folder = fake_project.folder / "labels/badge"
    folder.mkdir(parents=True)
    write_labels(folder, labels, None, {"simulated": True, "feedback_sha256": "0" * 64})
    return fake_project


def test_the_lines_that_it_prints_make_it_the_judge(judged, miniature_signs):
    done = judged.hfi("judge", "fit", "by-people", "--clip", str(miniature_signs / "clip"))
    said = done.stdout
    # Its CLIP was trained for three steps.
    assert "This probe may be too weak to judge with: its AUC may be as low as 0." in done.stdout + done.stderr
    folder = judged.folder / "data/judges/by-people"
    assert {path.name for path in folder.iterdir()} == {"probe.safetensors", "card.json"}
    assert f"answers of simulated people about {read_json(folder / 'card.json')['pictures']} pictures" in said
    assert re.search(r"accuracy: [.\d]+ \[[.\d]+, [.\d]+\], n \d+, cross-fitted", said)
    (lines,) = re.findall(r"\n\n(  evaluate:\n.*?\n)\n", said, re.DOTALL)
    judge = yaml.safe_load(lines)["evaluate"]["judge"]
    assert judge["digest"] == digest_of_weights(folder)
    raw = read_raw(judged.folder)
    raw["evaluate"]["judge"] |= judge
    write_raw(judged.folder, raw)
    judged.hfi("params", "check")
    assert "data/judges/by-people is what params.yaml pins" in judged.hfi("doctor", code=None).stdout


def test_a_judge_is_never_replaced(judged, miniature_signs):
    clip = str(miniature_signs / "clip")
    judged.hfi("judge", "fit", "first", "--clip", clip)
    before = digest_of_weights(judged.folder / "data/judges/first")
    said = judged.hfi("judge", "fit", "first", "--clip", clip, code=2).stderr
    assert "data/judges/first exists" in said and "choose another name" in said
    judged.hfi("judge", "fit", "second", "--clip", clip)
    assert digest_of_weights(judged.folder / "data/judges/first") == before
    assert digest_of_weights(judged.folder / "data/judges/second") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Name", "--clip", "clip"), "small letters, digits"),
        (("one", "--clip", "nowhere"), "is not a local folder"),
        (("one", "--clip", "embedded"), "which the reward model learned from"),
        (("one", "--clip", "embedded", "--concept", "flag"), "flag"),
    ],
)
def test_what_it_cannot_take_is_refused_with_nothing_written(judged, arguments, message):
    said = judged.hfi("judge", "fit", *arguments, code=2).stderr
    assert message in said and "Traceback" not in said
    assert not (judged.folder / "data/judges").exists()
