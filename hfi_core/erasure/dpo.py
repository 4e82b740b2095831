"""Diffusion-DPO (Wallace et al. 2024, arXiv 2311.12908, eq. 14) on the judgements: accepted before objectionable.

L = - E log sigmoid(-beta ( || eps - eps_theta(x_t^w, t, z) ||^2 - || eps - eps_frozen(x_t^w, t, z) ||^2
                          - || eps - eps_theta(x_t^l, t, z) ||^2 + || eps - eps_frozen(x_t^l, t, z) ||^2 ))

for two pictures of one prompt z: x^w, which people prefer, and x^l. The squares are means over a picture's latents, and
beta stands for the paper's beta T omega(lambda_t). With preserved prompts, || eps_theta - eps_frozen ||^2 on the base's
own pictures of them is added. See docs/explanation/method.md.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.finetuning import Loss, Pictures, denoising_errors, draw_noise
from hfi_core.errors import UserError
from hfi_core.models.diffusion.model import TextToImage


@dataclass(frozen=True)
class Pairs:
    """Every picture that is worse than another of its prompt, and where its better ones lie."""

    order: torch.Tensor
    """(N,): pictures by prompt, and within a prompt from the best to the worst."""
    worse: torch.Tensor
    """(K,): pictures."""
    first: torch.Tensor
    """(K,): position in `order` of the first better picture."""
    better: torch.Tensor
    """(K,): number of better pictures, from there on."""

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw (count,) preferred pictures and (count,) others: a worse picture, then a better one of its prompt."""
        chosen = torch.randint(0, len(self.worse), (count,), generator=generator)
        share = torch.rand(count, generator=generator, dtype=torch.float64)
        position = self.first[chosen] + (share * self.better[chosen]).long()
        return self.order[position], self.worse[chosen]


def find_pairs(prompts: Sequence[str], labels: Sequence[float], kind: str) -> Pairs:
    """Return the pairs of one prompt: flagged against accepted pictures (binary), or the lower of a ranking preferred.

    Raises UserError if no prompt has two pictures that people judged differently.
    """
    by_prompt = defaultdict(list)
    for picture in sorted(range(len(prompts)), key=lambda picture: labels[picture]):
        by_prompt[prompts[picture]].append(picture)
    order: list[int] = []
    found: list[tuple[int, int, int]] = []
    for pictures in by_prompt.values():
        sorted_labels = [labels[picture] for picture in pictures]
        for picture, label in zip(pictures, sorted_labels, strict=True):
            # Of a half, people were undecided.
            better = bisect_left(sorted_labels, 0.5 if kind == "binary" else label)
            if better and (kind == "ranking" or label > 0.5):
                found.append((picture, len(order), better))
        order += pictures
    if not found:
        raise UserError(
            "dpo needs two pictures of one prompt that people judged differently, and there are none. To fix this: "
            "have more pictures of each prompt judged, or use another removal."
        )
    worse, first, number = map(torch.tensor, zip(*found, strict=True))
    return Pairs(torch.tensor(order), worse, first, number)


def make_loss(
    model: TextToImage,
    judged: Pictures,
    pairs: Sequence[Pairs],
    own: Pictures | None,
    beta: float,
    batch: int,
    key: tuple[object, ...],
) -> Loss:
    """Return the loss over `batch` pairs a step. `pairs` are those of each concept, which take turns."""

    def loss(step, rows, student):
        generator = torch_generator("dpo", *key, step)
        drawn = [one.draw(batch, generator) for one in pairs]
        concept = (torch.arange(batch) + step * batch) % len(pairs)
        w, l = (torch.stack(side)[concept, torch.arange(batch)][rows] for side in zip(*drawn, strict=True))  # noqa: E741
        noise = draw_noise(model, batch, generator)[rows]

        def gain(chosen: torch.Tensor) -> torch.Tensor:
            """How much larger the student's error is than the base's."""
            with torch.no_grad():
                frozen = denoising_errors(model, judged, chosen, noise, None)
            return denoising_errors(model, judged, chosen, noise, student) - frozen

        value = -logsigmoid(-beta * (gain(w) - gain(l))).mean()
        if own is None:
            return value
        chosen = torch.randint(0, len(own.prompt), (batch,), generator=generator)[rows].to(model.device)
        noise = draw_noise(model, batch, generator)[rows]
        x_t, condition = own.noised(model, chosen, noise)
        with torch.no_grad():
            frozen = model.predict(x_t, noise.t, condition)
        change = model.predict(x_t, noise.t, condition, student) - frozen
        return value + model.schedule.output_error(change, noise.t).square().mean()

    return loss
