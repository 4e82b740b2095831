"""What an attack found, written and read."""

import csv

import pytest
import torch
from safetensors.torch import load_file

from hfi_core.attacks.base import Attacker, AttackPrompt, Found
from hfi_core.attacks.files import (
    AttackerResult,
    list_attacks,
    load_attack_weights,
    load_latents,
    read_cases,
    write_attack,
)
from hfi_core.errors import UserError

FIRST, SECOND = Attacker("shaken", "badge", 1), Attacker("shaken", "badge", 2)


@pytest.fixture
def folder(tmp_path):
    token = FIRST.token()
    first = Found(
        [
            AttackPrompt('a "red", badge', f"a {token}", 7),
            AttackPrompt("a badge", "x badge", 8, guidance=7.5, step=3, weights="step-3"),
        ],
        tokens={token: torch.ones(2, 4)},
        weights={"step-3": {"a.weight": torch.ones(3)}},
        losses=[0.5, 0.25],
        figures={"psnr": 20.0},
    )
    second = Found([AttackPrompt("a badge", "a badge", 9, latents=torch.full((4, 2, 2), 2.0))], losses=[0.5, 0.125])
    results = [AttackerResult(FIRST, first), AttackerResult(SECOND, second)]
    write_attack(tmp_path / "row/shaken", results, guidance=3.0, base="sha256:00")
    return tmp_path / "row/shaken"


def test_the_prompts_have_the_columns_of_the_field_and_seed_and_guidance_each(folder):
    with (folder / "prompts.csv").open(newline="") as stream:
        header, *lines = csv.reader(stream)
    assert header[:5] == ["case_number", "prompt", "evaluation_seed", "evaluation_guidance", "adversarial_prompt"]
    assert [line[:5] for line in lines] == [
        ["0", 'a "red", badge', "7", "3.0", "a <badge-shaken>"],
        ["1", "a badge", "8", "7.5", "x badge"],
        ["2", "a badge", "9", "3.0", "a badge"],
    ]


def test_everything_comes_back(folder):
    first, look, noisy = read_cases(folder)
    assert (first.attacker, first.step, first.weights, first.latents) == ("badge", None, None, False)
    assert (look.step, look.evaluation_guidance, look.weights) == (3, 7.5, "badge-step-3")
    assert (noisy.attacker, noisy.case_number, noisy.latents) == ("badge.2", 2, True)
    assert torch.equal(load_attack_weights(folder, look.weights)["a.weight"], torch.ones(3))
    latents = load_latents(folder)
    assert list(latents) == [2] and torch.equal(latents[2], torch.full((4, 2, 2), 2.0))
    token = load_file(folder / "tokens/badge-shaken/learned_embeds.safetensors")
    assert torch.equal(token["<badge-shaken>"], torch.ones(2, 4))
    assert (folder / "steps.csv").read_text().splitlines()[0] == "step,badge,badge.2"
    assert list_attacks(folder.parent) == [folder]


@pytest.mark.parametrize("text", [None, "case_number,prompt\n0,a badge\n", "no table"])
def test_prompts_that_cannot_be_read_are_named(folder, text):
    path = folder / "prompts.csv"
    path.unlink() if text is None else path.write_text(text if text != "no table" else "case_number\nx\n")
    with pytest.raises(UserError, match=r"prompts.csv cannot be read.*run the stage attack again"):
        read_cases(folder)


def test_attackers_have_names_tokens_and_draws_of_their_own():
    assert (FIRST.name, FIRST.seed_suffix, FIRST.token()) == ("badge", (), "<badge-shaken>")
    assert (SECOND.name, SECOND.seed_suffix, SECOND.token("step", 5)) == ("badge.2", (2,), "<badge-shaken-2-step-5>")
