"""Stage 4: what people object to becomes v*, and what they accept becomes u* (method, section 4)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hfi_core.compute.device import configure
from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.examples import rewarded
from hfi_core.inversion.textual_inversion import invert, start_vectors
from hfi_core.inversion.tokens import save_token, token_name
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_json
from hfi_core.io.training_curve import write_steps
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.loading import load_model
from hfi_core.models.diffusion.sampling import SampleRequest, sample
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress
from hfi_core.prompts import replace_text
from hfi_core.reward.model import RewardModel


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Invert both tokens, then let the reward model score pictures of each beside pictures of the text concept."""
    configure(params.compute)
    concept, spec, block = params.concepts[unit], params.invert, params.compute.block
    model = load_model(params.model, params.compute)
    losses, tokens = {}, {}
    with atomic_folder(outputs["tokens"]) as folder:
        for side in ("objectionable", "accepted"):
            name = token_name(unit, side)
            vectors, history = invert(
                model,
                rewarded(model, inputs["candidates"], inputs["reward"], side, spec.top, block),
                concept.text,
                name,
                start_vectors(model, getattr(concept.initial, side), spec.vectors, params.seed, name),
                steps=spec.steps,
                batch=spec.batch,
                rate=spec.rate,
                noisiest=spec.noisiest,
                key=(params.seed, name),
                work=work / side if work else None,
                observe=lambda step, _, side=side: progress(step + 1, spec.steps, f"inverting {side}"),
            )
            tokens[name], losses[side] = vectors, history.tolist()
            save_token(folder / side, name, vectors, model.text.widths)
        check = _check(params, unit, model, tokens, inputs["reward"])
        write_json(folder / "check.json", check)
        write_steps(folder / "steps.csv", losses)
    return {f"{side}_reward": figures["mean_reward"] for side, figures in check["pictures"].items()}


def _check(params: Params, unit: str, model, tokens, reward_folder: Path) -> dict:
    """Mean reward, and share above one half, of pictures drawn with the text and with each token at equal seeds."""
    concept, count = params.concepts[unit], params.invert.check
    if count == 0:
        return {"pictures": {}}
    clip, reward = Clip.load(params.clip, params.compute), RewardModel.load(reward_folder)
    figures = {}
    for side in ("text", "objectionable", "accepted"):
        name = concept.text if side == "text" else token_name(unit, side)
        requests = [
            SampleRequest(
                replace_text(concept.prompts[i % len(concept.prompts)], concept.text, name),
                picture_seed(params.seed, "check", unit, i),
            )
            for i in range(count)
        ]
        drawn = sample(model, requests, params.sampler, block=params.compute.block, tokens=tokens)
        rewards = reward.rewards(clip.image_features(np.stack([p for _, p in drawn]), params.compute.block))
        figures[side] = {
            "mean_reward": round(float(rewards.mean()), 6),
            "share_objectionable": round(float((rewards > 0.5).float().mean()), 6),
            "n": count,
        }
    return {"pictures": figures}
