"""Paraphrases come from params or from a CSV file, and are drawn in turn."""

import pytest

from hfi_core.attacks.base import list_attackers
from hfi_core.attacks.paraphrase import attack
from hfi_core.errors import UserError
from hfi_core.params import Paraphrase
from hfi_core.pipeline.graph import STAGES, prompt_files
from hfi_core.progress import no_progress
from tests.support.attacks import make_target

PAIRS = [
    {"prompt": "a red badge", "adversarial_prompt": "a red bagde"},
    {"prompt": "a boat", "adversarial_prompt": "un bateau"},
    {"prompt": "a badge", "adversarial_prompt": "ein Abzeichen"},
]
CSV = "case_number,prompt,adversarial_prompt\n" + "".join(
    f'{i},{pair["prompt"]},"{pair["adversarial_prompt"]}"\n' for i, pair in enumerate(PAIRS)
)


def draw(project, spec):
    (attacker,) = list_attackers("words", spec, "badge")
    return attack(make_target(project.params, attacker), spec, work=None, progress=no_progress)


def test_prompts_of_the_concept_are_drawn_in_turn(project):
    found = draw(project, Paraphrase(kind="paraphrase", pictures=3, prompts=PAIRS))
    assert [(p.prompt, p.adversarial_prompt) for p in found.prompts] == [
        ("a red badge", "a red bagde"), ("a badge", "ein Abzeichen"), ("a red badge", "a red bagde"),
    ]  # fmt: skip
    assert len({p.seed for p in found.prompts}) == 3


def test_a_concept_without_a_paraphrase_is_an_error(project):
    with pytest.raises(UserError, match="The attack words has no prompt that contains 'badge'"):
        draw(project, Paraphrase(kind="paraphrase", pictures=3, prompts=PAIRS[1:2]))


def test_a_file_is_read_and_the_stages_depend_on_it(project):
    (project.folder / "words.csv").write_text(CSV)
    project.edit(attacks={"words": {"kind": "paraphrase", "pictures": 2, "file": "words.csv"}})
    params = project.params
    assert params.model_dump(mode="json")["attacks"]["words"]["prompts"] == PAIRS
    depending = {stage.name for stage in STAGES if "words.csv" in prompt_files(stage, params).values()}
    assert depending == {"attack", "evaluate", "compare"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prompt\na badge\n", "has no column 'adversarial_prompt'"),
        ("prompt,adversarial_prompt\n", "words.csv has no prompt"),
        ("prompt,adversarial_prompt\na badge,\n", "line 2 has no prompt in the column 'adversarial_prompt'"),
        (None, "the file of prompts words.csv is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(project, text, problem):
    if text is not None:
        (project.folder / "words.csv").write_text(text)
    project.edit(attacks={"words": {"kind": "paraphrase", "pictures": 2, "file": "words.csv"}})
    with pytest.raises(UserError, match=problem):
        _ = project.params
