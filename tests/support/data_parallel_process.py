"""A process of `test_data_parallel`: join the others through Accelerate, learn, and write what it computed."""

import sys
from pathlib import Path

import torch
from accelerate import PartialState

from hfi_core.compute.device import configure_torch
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings
from hfi_core.erasure.targets import DistillationTarget, frozen_target
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Sampler, load_params

SETTINGS = DistillationSettings(steps=3, rate=1e-3, ema=0.5)
SAMPLER = Sampler(scheduler="ddim", steps=3, guidance=3)
SAMPLING = RolloutSettings(batch=3, sampler=SAMPLER, rollouts=3, reuse=2, concentration=3)
"""Three rows and three roll-outs, so that two processes have unequal shares of both."""


def main(params_file: str, folder: str) -> None:
    """Learn two targets; write the gradients of the first step, the weights and the losses."""
    state = PartialState(cpu=True)
    params = load_params(Path(params_file))
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    targets = [
        DistillationTarget(prompt, model.encode([prompt]), ((1.0, model.encode([anchor])),))
        for prompt, anchor in (("a red badge", "a blue kite"), ("a blue badge", ""))
    ]
    gradients: dict[str, torch.Tensor] = {}
    clip = torch.nn.utils.clip_grad_norm_

    def watched(parameters, most):
        if not gradients:
            names = model.cross_attention()
            gradients.update({name: p.grad.clone() for name, p in zip(names, parameters, strict=True)})
        return clip(parameters, most)

    torch.nn.utils.clip_grad_norm_ = watched
    rollouts = RollOuts(model, targets, SAMPLING, ("together",))
    weights, losses = distill(model, rollouts, frozen_target(model), SETTINGS, start=model.cross_attention())
    output = Path(folder) / str(state.process_index)
    save_tensors(output / "gradients.safetensors", gradients)
    save_tensors(output / "weights.safetensors", weights)
    save_tensors(output / "losses.safetensors", {"losses": losses})
    state.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
