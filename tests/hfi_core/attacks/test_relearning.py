"""Relearning is the training of a LoRA, written out."""

import pytest
import torch

from hfi_core.attacks.base import list_attackers
from hfi_core.attacks.relearning import _add_lora, attack, relearn
from hfi_core.compute.seeding import torch_generator
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Relearning
from hfi_core.progress import no_progress
from tests.support.attacks import make_target

SPEC = Relearning(
    kind="relearning", pictures=2, examples=2, rank=3, steps=3, batch=2, rate=0.01, weight_decay=0.01, looks=(1,)
)


@pytest.fixture
def target(project):
    params = project.params
    model = load_base_model(params.model, params.compute)
    latents = torch.randn(2, *model.latent_shape, generator=torch_generator("latents"))
    examples = TrainingExamples(latents, ["a red badge", None], torch.tensor([1.0, 0.5]))
    (attacker,) = list_attackers("relearned", SPEC, "badge")
    return make_target(params, attacker, model=model, load_examples=lambda: examples)


def test_the_training_is_that_of_a_lora(target):
    examples = TrainingExamples(target.load_examples().latents, ["a red badge", "badge"], torch.ones(2))
    found, losses = relearn(target, SPEC, examples, work=None, progress=no_progress)

    model, key = target.model, target.key
    learner = _add_lora(model, SPEC.rank, (*key, "lora"))
    start = {name: value for name, value in learner.unet.named_parameters() if value.requires_grad}
    modules = [name[: name.index(".lora_A.")] for name in start if ".lora_A." in name]
    assert modules and all(name.split(".")[-1] in ("to_q", "to_k", "to_v", "0") for name in modules)
    a = {m: start[f"{m}.lora_A.default.weight"].detach().clone().requires_grad_() for m in modules}
    b = {m: torch.zeros_like(start[f"{m}.lora_B.default.weight"]).requires_grad_() for m in modules}
    base = model.unet_parameters("all")
    optimizer = torch.optim.AdamW([*a.values(), *b.values()], lr=SPEC.rate, weight_decay=SPEC.weight_decay)
    expected, after = [], {}
    for step in range(SPEC.steps):
        generator = torch_generator(*key, "relearning", step)
        rows = torch.randint(2, (2,), generator=generator)
        t = torch.randint(len(model.schedule.alpha_bar), (2,), generator=generator)
        eps = torch.randn(2, *model.latent_shape, generator=generator)
        merged = {f"{m}.weight": base[f"{m}.weight"] + b[m] @ a[m] for m in modules}
        alpha = model.schedule.alpha_bar[t].view(-1, 1, 1, 1)
        x_t = alpha.sqrt() * examples.latents[rows] + (1 - alpha).sqrt() * eps
        error = eps - model.predict(x_t, t, model.encode([examples.prompts[row] for row in rows]), merged)
        if model.schedule.prediction_type == "v_prediction":
            error = error / alpha.sqrt()
        loss = error.square().mean()
        for group in optimizer.param_groups:
            group["lr"] = SPEC.rate * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / SPEC.steps)).item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*a.values(), *b.values()], 1.0)
        optimizer.step()
        expected.append(loss.item())
        after[step + 1] = {m: (base[f"{m}.weight"] + b[m] @ a[m]).detach() for m in modules}
    assert losses.tolist() == pytest.approx(expected, rel=1e-4)
    for name, step in (("step-1", 1), ("end", 3)):
        assert found[name].keys() == {f"{m}.weight" for m in modules}
        for m in modules:
            assert torch.allclose(found[name][f"{m}.weight"], after[step][m], atol=1e-5)


def test_the_attacked_model_does_not_change(target):
    before = {name: value.clone() for name, value in target.model.unet.state_dict().items()}
    attack(target, SPEC, work=None, progress=no_progress)
    after = target.model.unet.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_plain_prompts_are_drawn_with_the_weights_of_each_look(target):
    found = attack(target, SPEC, work=None, progress=no_progress)
    assert [(p.adversarial_prompt == p.prompt, p.step, p.weights) for p in found.prompts] == [
        (True, 1, "step-1"), (True, 1, "step-1"), (True, None, "end"), (True, None, "end"),
    ]  # fmt: skip
    # A picture has the same seed at each look, so a curve shows the training alone.
    assert [p.seed for p in found.prompts[:2]] == [p.seed for p in found.prompts[2:]]


def test_a_run_that_was_stopped_ends_in_the_same_weights(target, tmp_path, monkeypatch):
    monkeypatch.setattr("hfi_core.attacks.relearning.CHECKPOINT_EVERY", 2)
    whole = attack(target, SPEC, work=None, progress=no_progress)

    class Stop(Exception):
        pass

    def stop_at_the_end(done, total, what):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        attack(target, SPEC, work=tmp_path, progress=stop_at_the_end)
    resumed = attack(target, SPEC, work=tmp_path, progress=no_progress)
    assert resumed.losses == whole.losses
    for name, weights in whole.weights.items():
        assert all(torch.equal(value, resumed.weights[name][key]) for key, value in weights.items())
