"""`hfi sample`: draw pictures with the model of a row."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    row: Annotated[str, typer.Argument(help="`base`, or a removal of params.yaml that has been learned.")],
    prompts: Annotated[list[str], typer.Argument(help="What to draw, one picture for each prompt.")],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal pictures; compare rows at one seed.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("samples"),
) -> None:
    """Draw pictures with the base model or a safeguarded one, as PNG files."""
    from flows.runtime.console import info, show_progress
    from flows.runtime.device import with_local_device
    from hfi_core.compute.memory import out_of_memory_as_user_error
    from hfi_core.errors import UserError
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import MODELS, PARAMS

    params = with_local_device(load_params(PARAMS))
    folder = MODELS / row
    if row not in params.removals:
        raise UserError(f"There is no row {row!r}; params.yaml has {', '.join(params.removals)}.")
    if row != "base" and not folder.exists():
        raise UserError(f"{folder} is missing. To make it: `hfi run --until distill`.")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder.")
    with show_progress(f"sample {row}") as progress, out_of_memory_as_user_error(params.compute):
        from hfi_core.compute.device import configure_torch
        from hfi_core.io.images import save_image
        from hfi_core.models.diffusion import sampling
        from hfi_core.models.diffusion.loading import load_safeguarded_model

        configure_torch(params.compute)
        model = load_safeguarded_model(params.model, params.compute, folder)
        requests = [sampling.SampleRequest(prompt, seed) for prompt in prompts]
        drawn = sampling.draw_pictures(model, requests, params.sampler, block=params.compute.block, progress=progress)
        paths = []
        for number, (_, pixels) in enumerate(drawn, start=1):
            paths.append(out / f"{row}-{seed}-{number:03d}.png")
            save_image(paths[-1], pixels)
    for path, prompt in zip(paths, prompts, strict=True):
        info(f"{path}  {prompt}")
