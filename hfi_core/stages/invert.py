"""Stage 4: what people object to becomes v*, and what they accept becomes u* (method, section 4)."""

from hfi_core.inversion.token_pair import invert
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_json
from hfi_core.io.training_curve import write_training_curve
from hfi_core.models.diffusion.loading import load_model
from hfi_core.pipeline.stage import StageContext
from hfi_core.reward.model import FittedReward


def run(context: StageContext) -> dict[str, float]:
    """Invert both tokens of the concept `unit`, and let the reward model score pictures drawn with them."""
    params, inputs = context.params, context.inputs
    model = load_model(params)
    reward = FittedReward.load(inputs["reward"], inputs["candidates"])
    tokens = invert(model, reward, context.unit, params, work=context.work, progress=context.progress)
    with atomic_folder(context.outputs["tokens"]) as folder:
        tokens.save(folder, model.text.widths)
        write_json(folder / "check.json", {"pictures": tokens.check})
        write_training_curve(folder / "steps.csv", tokens.losses)
    return {f"{side}_reward": figures["mean_reward"] for side, figures in tokens.check.items()}
