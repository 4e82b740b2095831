"""One training loop for everything that is learned here: resumable to the same bits, silent about who watches it."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors

Observer = Callable[[int, dict[str, float]], None]

OVERFLOWS = 0.01
"""Share of the steps that may overflow in float16, at least one step."""


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a fit lies, and after how many steps it is written."""

    path: Path
    every: int


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate."""

    parameters: Mapping[str, torch.nn.Parameter]
    rate: float


def cosine(step: int, steps: int) -> float:
    """A factor that falls from 1 to 0 over the run."""
    return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * step / steps, dtype=torch.float64))))


def constant(step: int, steps: int) -> float:
    """A factor that stays 1."""
    return 1.0


def fit(
    groups: list[ParameterGroup],
    loss: Callable[[int], torch.Tensor],
    *,
    what: str = "The fit",
    steps: int,
    schedule: Callable[[int, int], float] = constant,
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
    """Minimise `loss(step)` with AdamW, in place; returns the loss of every step (steps,).

    `average` holds exponential moving averages by parameter name; their decay is warmed up as (1 + n) / (10 + n).
    `state` holds further tensors that the loss keeps between steps; they are checkpointed and restored in place.
    `scale` multiplies the loss for the backward pass only, so that float16 gradients do not vanish; a step whose
    gradients overflow is skipped then.
    `mean` averages a tensor over the processes that learn the same parameters from other rows.
    All randomness belongs to `loss` and is drawn from its step number, so a run that was killed goes on to equal bits.

    Raises UserError, which calls the fit `what`, if a loss or a gradient is not finite.
    """
    named = {name: parameter for group in groups for name, parameter in group.parameters.items()}
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters.values()), "lr": group.rate} for group in groups],
        weight_decay=weight_decay,
        foreach=False,
    )
    bases = [group.rate for group in groups]
    history = torch.zeros(steps)
    overflows = torch.zeros(())
    state = {**(state or {}), "history": history, "overflows": overflows}
    first = _restore(checkpoint, named, optimizer, average, state)
    for step in range(first, steps):
        factor = schedule(step, steps)
        for slot, base in zip(optimizer.param_groups, bases, strict=True):
            slot["lr"] = base * factor
        with autocast():
            value = loss(step)
        (value * scale).backward()
        if scale != 1:
            for parameter in named.values():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
        value = value.detach()
        if mean is not None:
            value = mean(value)
            for parameter in named.values():
                if parameter.grad is not None:
                    parameter.grad = mean(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(list(named.values()), math.inf if clip is None else clip)
        found, size = torch.stack([value.float(), norm.float()]).tolist()  # read together: each read waits for a GPU
        if not math.isfinite(found):
            raise _diverged(what, step, steps, f"the loss is {found}", bases)
        if math.isfinite(size):
            optimizer.step()
        else:
            overflows += 1
            if scale == 1 or overflows > max(1, OVERFLOWS * steps):
                raise _diverged(what, step, steps, "the gradient is not finite", bases)
        optimizer.zero_grad(set_to_none=True)
        if average is not None:
            keep = min(decay, (1 + step) / (10 + step))
            with torch.no_grad():
                for name, slow in average.items():
                    slow.lerp_(named[name], 1 - keep)
        history[step] = found
        if after_step:
            after_step(step)
        if observe:
            observe(step, {"loss": found, "rate": bases[0] * factor})
        if checkpoint and (step + 1) % checkpoint.every == 0 and step + 1 < steps:
            _store(checkpoint, step + 1, named, optimizer, average, state)
    return history


def _diverged(what: str, step: int, steps: int, how: str, rates: list[float]) -> UserError:
    now = ", ".join(f"{rate:g}" for rate in rates)
    return UserError(
        f"{what} diverged at step {step + 1} of {steps}: {how}. Lower its learning rate in params.yaml ({now} now), "
        "or, if compute.dtype is float16, set it to bfloat16 or float32."
    )


def _store(checkpoint, step, named, optimizer, average, state) -> None:
    tensors = {f"parameter/{name}": value for name, value in named.items()}
    for name, value in named.items():
        for key, moment in optimizer.state[value].items():
            tensors[f"optimizer/{key}/{name}"] = moment
    tensors |= {f"average/{name}": value for name, value in (average or {}).items()}
    tensors |= {f"state/{name}": value for name, value in state.items()}
    save_tensors(checkpoint.path, tensors, {"step": step})


def _restore(checkpoint, named, optimizer, average, state) -> int:
    if checkpoint is None or not checkpoint.path.exists():
        return 0
    tensors, meta = load_tensors(checkpoint.path)
    with torch.no_grad():
        for name, value in named.items():
            value.copy_(tensors[f"parameter/{name}"])
            for key in ("step", "exp_avg", "exp_avg_sq"):
                moment = tensors.get(f"optimizer/{key}/{name}")
                if moment is not None:  # a parameter that no loss has reached yet has no moments
                    optimizer.state[value][key] = moment if key == "step" else moment.to(value.device)
        for name, value in (average or {}).items():
            value.copy_(tensors[f"average/{name}"])
        for name, value in state.items():
            value.copy_(tensors[f"state/{name}"])
    return meta["step"]
