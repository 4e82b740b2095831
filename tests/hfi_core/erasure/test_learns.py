"""`learns` trains exactly the parameters that it names, whatever the method."""

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.methods import METHODS
from hfi_core.errors import UserError
from hfi_core.inversion.examples import JudgedPictures
from hfi_core.params import parse_params
from hfi_core.progress import no_progress
from tests.support.projects import DPO_ROW, ESD_ROW, LORA, REWARD_WEIGHTED_ROW, default_raw

SDD = {key: value for key, value in ESD_ROW.items() if key not in ("variant", "negative_guidance")} | {"method": "sdd"}
ANCHORED = {key: value for key, value in SDD.items() if key != "condition"} | {
    "method": "anchored", "rounds": 1, "contrast": 0.5, "preserve": True, "reinvert_steps": 1,
}  # fmt: skip
ESD = {key: value for key, value in ESD_ROW.items() if key != "variant"}


def named(model, learns):
    """The parameters that a set names, by walking the modules and not by the names of parameters."""
    every = {name for name, _ in model.unet.named_parameters()}
    if learns in ("all", "all-but-cross"):
        return every - (named(model, "cross") if learns == "all-but-cross" else set())
    if learns == "all-but-time":
        time = ("time_embedding", "time_emb_proj")
        timed = [(path, part) for path, part in model.unet.named_modules() if path.split(".")[-1] in time]
        assert len(timed) > 1
        return every - {f"{path}.{name}" for path, part in timed for name, _ in part.named_parameters()}
    wanted = ["attn1", "attn2"] if learns == "attention" else ["attn2"]
    modules = [(path, module) for path, module in model.unet.named_modules() if path.split(".")[-1] in wanted]
    if learns == "cross-kv":
        modules = [(f"{path}.{part}", getattr(module, part)) for path, module in modules for part in ("to_k", "to_v")]
    return {f"{path}.{name}" for path, module in modules for name, _ in module.named_parameters()}


@pytest.mark.parametrize(
    ("row", "learns"),
    [
        (SDD, "cross"), (SDD, "cross-kv"), (SDD, "all-but-cross"), (SDD, "attention"), (SDD, "all"),
        (ANCHORED, "all"), (ANCHORED, "all-but-time"), (ESD, "attention"), (REWARD_WEIGHTED_ROW, "all-but-cross"),
        (DPO_ROW, "cross-kv"),
    ],
)  # fmt: skip
def test_exactly_the_named_parameters_are_trained(small_model, small_params, concepts, row, learns):
    raw = default_raw()
    raw["removals"]["row"] = row | {"learns": learns, "steps": 1, "rate": 1e-3}
    spec = parse_params(raw).removals["row"]
    latents = torch.randn(2, *small_model.latent_shape, generator=torch_generator("judged"))
    judged = JudgedPictures(latents, ["a badge"] * 2, torch.tensor([0.9, 0.1]), torch.tensor([1.0, 0.0]))
    before = {name: value.clone() for name, value in small_model.unet.named_parameters()}
    material = [type(concepts[0])(**vars(concepts[0]) | {"load_judged": lambda: judged})]
    weights, _ = METHODS[spec.method](
        small_model, material, spec, small_params, key=(), work=None, before_step=lambda step, weights: None,
        progress=no_progress,
    )  # fmt: skip
    assert set(weights) == named(small_model, learns) != set()
    # A bias of keys before a softmax may get no gradient; nearly all others must have moved.
    moved = sum(not torch.equal(value, before[name]) for name, value in weights.items())
    assert moved > 0.9 * len(weights)
    assert all(torch.equal(value, before[name]) for name, value in small_model.unet.named_parameters())


@pytest.mark.parametrize("learns", ["all-but-cross", "all", "all-but-time"])
def test_a_lora_of_what_no_lora_holds_is_refused(learns):
    raw = default_raw()
    raw["removals"]["wide"] = SDD | {"learns": learns}
    raw["release"] |= {"row": "wide", "lora": LORA}
    with pytest.raises(UserError, match=f"the row 'wide' learns {learns}.* set release.lora to null"):
        parse_params(raw)
    raw["release"]["lora"] = None
    assert parse_params(raw).removals["wide"].learns == learns


def test_rows_without_the_new_keys_have_the_dump_that_they_had():
    removals = parse_params(default_raw()).model_dump(mode="json")["removals"]
    raw = default_raw()["removals"]
    assert {row: set(spec) for row, spec in removals.items()} == {row: set(spec) for row, spec in raw.items()}
