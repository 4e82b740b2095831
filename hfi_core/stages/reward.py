"""Stage 3: labels and pictures become a reward model (method, section 3). It reads the labels' part "learn" only."""

from collections import Counter

from hfi_core.feedback.labels import read_labels, read_pairs, read_summary
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_json
from hfi_core.pipeline.stage import StageContext
from hfi_core.reward.model import RewardModel


def run(context: StageContext) -> dict[str, float]:
    """Fit the reward model of the concept `unit`, score every picture of the part "learn", and measure the model.

    Raises UserError, which says how to fix it, if there are too few labels or if all labels are alike.
    """
    inputs, unit = context.inputs, context.unit
    kind = context.params.concepts[unit].feedback
    reward = RewardModel.fit(
        inputs["candidates"],
        read_labels(inputs["labels"]),
        context.params,
        concept=unit,
        pairs=read_pairs(inputs["labels"]) if kind == "ranking" else (),
        work=context.work,
        progress=context.progress,
    )
    summary, split = read_summary(inputs["labels"]), Counter(score.split for score in reward.scores)
    with atomic_folder(context.outputs["reward"]) as folder:
        reward.save(folder)
        report = {
            "concept": unit,
            "kind": kind,
            "simulated": summary["simulated"],
            "feedback_sha256": summary["feedback_sha256"],
            # Without intervals: these depend on params of the evaluation, and `compare` computes them.
            "metrics": {name: {"value": figure.value, "n": figure.n} for name, figure in reward.metrics.items()},
            "measured_on": "held-out pictures, which also chose the step",
            "split": {"train": split["train"], "held_out": split["held_out"]},
            "best_step": reward.best_step,
        }
        write_json(folder / "report.json", report)
    return {name: measured.value for name, measured in reward.metrics.items() if measured.value is not None}
