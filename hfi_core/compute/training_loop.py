"""The training loop of every model that is trained here. A resumed run gives the same bits as an uninterrupted one."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors

Observer = Callable[[int, dict[str, float]], None]
"""`observe(step, figures)`: called after every step."""

MAX_OVERFLOW_SHARE = 0.01
"""Largest share of steps that may overflow in float16. One step always may."""


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds the state of a fit, and the number of steps between two writes of it."""

    path: Path
    every: int


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate."""

    parameters: Mapping[str, torch.nn.Parameter]
    rate: float


def cosine_decay(step: int, steps: int) -> float:
    """Return a factor of the learning rate that falls from 1 to 0 over the run along a half cosine."""
    return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * step / steps, dtype=torch.float64))))


def constant_rate(step: int, steps: int) -> float:
    """Return 1: the learning rate stays the same."""
    return 1.0


def fit(
    groups: list[ParameterGroup],
    loss: Callable[[int], torch.Tensor],
    *,
    name: str = "The fit",
    steps: int,
    schedule: Callable[[int, int], float] = constant_rate,
    weight_decay: float = 0.0,
    clip: float | None = 1.0,
    average: dict[str, torch.Tensor] | None = None,
    decay: float = 0.999,
    checkpoint: Checkpoint | None = None,
    observe: Observer | None = None,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    after_step: Callable[[int], None] | None = None,
    state: dict[str, torch.Tensor] | None = None,
    scale: float = 1.0,
    mean: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Minimise `loss(step)` with AdamW, in place; return the loss of every step (steps,).

    All randomness is inside `loss`, which draws it from the step number. So a run that was killed resumes to the same
    bits.

    `average` holds exponential moving averages by parameter name; their decay is min(`decay`, (1 + n) / (10 + n)).
    `state` holds further tensors that the loss changes; they are written to the checkpoint and restored in place.
    `scale` multiplies the loss in the backward pass only, so that float16 gradients do not vanish. With a scale, a step
    whose gradients overflow is skipped.
    `mean` averages a tensor over the processes that train the same parameters on other rows.
    `clip` is the largest norm of the gradient; None clips nothing.

    Raises UserError, in which the fit is called `name`, if a loss or a gradient is not finite.
    """
    parameters = {key: parameter for group in groups for key, parameter in group.parameters.items()}
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters.values()), "lr": group.rate} for group in groups],
        weight_decay=weight_decay,
        foreach=False,
    )
    base_rates = [group.rate for group in groups]
    history = torch.zeros(steps)
    overflows = torch.zeros(())
    state = {**(state or {}), "history": history, "overflows": overflows}
    first = _restore(checkpoint, parameters, optimizer, average, state)
    for step in range(first, steps):
        factor = schedule(step, steps)
        for param_group, base_rate in zip(optimizer.param_groups, base_rates, strict=True):
            param_group["lr"] = base_rate * factor
        with autocast():
            value = loss(step)
        (value * scale).backward()
        if scale != 1:
            for parameter in parameters.values():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
        value = value.detach()
        if mean is not None:
            value = mean(value)
            for parameter in parameters.values():
                if parameter.grad is not None:
                    parameter.grad = mean(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), math.inf if clip is None else clip)
        # One transfer for both numbers: each transfer waits for the GPU.
        loss_value, norm_value = torch.stack([value.float(), norm.float()]).tolist()
        if not math.isfinite(loss_value):
            raise _diverged(name, step, steps, f"the loss is {loss_value}", base_rates)
        if math.isfinite(norm_value):
            optimizer.step()
        else:
            overflows += 1
            if scale == 1 or overflows > max(1, MAX_OVERFLOW_SHARE * steps):
                raise _diverged(name, step, steps, "the gradient is not finite", base_rates)
        optimizer.zero_grad(set_to_none=True)
        if average is not None:
            weight = 1 - min(decay, (1 + step) / (10 + step))
            with torch.no_grad():
                for key, averaged in average.items():
                    averaged.lerp_(parameters[key], weight)
        history[step] = loss_value
        if after_step:
            after_step(step)
        if observe:
            observe(step, {"loss": loss_value, "rate": base_rates[0] * factor})
        if checkpoint and (step + 1) % checkpoint.every == 0 and step + 1 < steps:
            _store(checkpoint, step + 1, parameters, optimizer, average, state)
    return history


def _diverged(name: str, step: int, steps: int, reason: str, rates: list[float]) -> UserError:
    current = ", ".join(f"{rate:g}" for rate in rates)
    return UserError(
        f"{name} diverged at step {step + 1} of {steps}: {reason}. To fix this: lower its learning rate in params.yaml "
        f"(now {current}), or, if compute.dtype is float16, set it to bfloat16 or float32."
    )


def _store(checkpoint, step, parameters, optimizer, average, state) -> None:
    tensors = {f"parameter/{name}": value for name, value in parameters.items()}
    for name, value in parameters.items():
        for key, moment in optimizer.state[value].items():
            tensors[f"optimizer/{key}/{name}"] = moment
    tensors |= {f"average/{name}": value for name, value in (average or {}).items()}
    tensors |= {f"state/{name}": value for name, value in state.items()}
    save_tensors(checkpoint.path, tensors, {"step": step})


def _restore(checkpoint, parameters, optimizer, average, state) -> int:
    if checkpoint is None or not checkpoint.path.exists():
        return 0
    tensors, meta = load_tensors(checkpoint.path)
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(tensors[f"parameter/{name}"])
            for key in ("step", "exp_avg", "exp_avg_sq"):
                moment = tensors.get(f"optimizer/{key}/{name}")
                if moment is not None:  # a parameter without a gradient so far has no moments
                    optimizer.state[value][key] = moment if key == "step" else moment.to(value.device)
        for name, value in (average or {}).items():
            value.copy_(tensors[f"average/{name}"])
        for name, value in state.items():
            value.copy_(tensors[f"state/{name}"])
    return meta["step"]
