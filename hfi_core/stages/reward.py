"""Stage 3: labels and pictures become a reward model (method, section 3). The part "attack" is never looked at."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from hfi_core.candidates.manifest import read_manifest
from hfi_core.compute.device import configure
from hfi_core.compute.seeding import seed_of
from hfi_core.compute.training_loop import Checkpoint
from hfi_core.feedback.labels import read_labels, read_pairs, read_summary
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_json, write_jsonl
from hfi_core.io.training_curve import write_steps
from hfi_core.metrics.ranking import Resampling
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress
from hfi_core.reward.model import RewardModel, embed, train
from hfi_core.reward.objectives import objective_for

CHECKPOINT_EVERY = 100
_DECIMALS = 6


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Fit the reward model of the concept `unit`, score every picture of the part "learn", and measure it.

    Raises UserError that says how to mend it if labels are too few, or all alike.
    """
    kind, settings = params.concepts[unit].feedback, params.reward
    labels = [label for label in read_labels(inputs["labels"]) if label.part == "learn"]
    pairs = read_pairs(inputs["labels"]) if kind == "ranking" else []
    task = objective_for(kind, unit, labels, pairs, settings, seed_of(params.seed, "reward", unit))

    configure(params.compute)
    pictures = {candidate.id: candidate for candidate in read_manifest(inputs["candidates"])}
    features = embed(params, inputs["candidates"], [pictures[label.picture] for label in labels], progress)
    learn = torch.from_numpy(~task.held_out)
    model = RewardModel.start(features[learn], settings.hidden, seed_of(params.seed, "reward", unit, "start"))
    losses = train(
        model,
        lambda step: task.loss(model, features, step),
        lambda: task.held_out_loss(model, features),
        settings,
        checkpoint=Checkpoint(work / "reward.safetensors", CHECKPOINT_EVERY) if work else None,
        progress=progress,
    )
    if kind == "ranking":
        model.put_zero_at(features[learn])
    rewards = model.rewards(features).double().numpy()
    how = Resampling(params.evaluate.resamples, params.evaluate.level, seed_of(params.seed, "reward", unit, "resample"))
    measured = task.measure(rewards, how)

    summary = read_summary(inputs["labels"])
    with atomic_folder(outputs["reward"]) as folder:
        model.save(folder)
        rows = [
            {
                "picture": label.picture,
                "reward": round(float(reward), _DECIMALS),
                "label": label.label,
                "split": "held_out" if held_out else "train",
            }
            for label, reward, held_out in zip(labels, rewards, task.held_out, strict=True)
        ]
        write_jsonl(folder / "scores.jsonl", rows)
        write_steps(folder / "steps.csv", losses)
        report = {
            "concept": unit,
            "kind": kind,
            "simulated": summary["simulated"],
            "feedback_sha256": summary["feedback_sha256"],
            "metrics": {name: asdict(figure) for name, figure in measured.items()},
            "measured_on": "held-out pictures, which also chose the step",
            "split": {"train": int(learn.sum()), "held_out": int(task.held_out.sum())},
            "best_step": min(range(settings.steps), key=losses["held_out_loss"].__getitem__),
        }
        write_json(folder / "report.json", report)
    return {name: figure.value for name, figure in measured.items() if figure.value is not None}
