"""`hfi sample`: draw pictures with the model of a row."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import typer

from hfi_core.pipeline.layout import MODELS, PARAMS, SAMPLES, TOKENS

_NAMED_TOKEN = re.compile(r"<[^<>\s]+>")


def sample(
    row: Annotated[str, typer.Argument(help="`base`, or a removal of params.yaml that has been learned.")],
    prompts: Annotated[
        list[str],
        typer.Argument(help="What to draw, one picture per prompt. A prompt may hold tokens: `<CONCEPT-accepted>`."),
    ],
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Equal seeds give equal pictures; compare rows at one seed.")
    ] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the pictures. Those that are in it stay: new ones get the next numbers.")
    ] = SAMPLES,
) -> None:
    """Draw pictures with the base model or a safeguarded one, as PNG files."""
    from flows.runtime.console import info, show_progress, warn
    from flows.runtime.device import with_local_device
    from hfi_core.compute.memory import out_of_memory_as_user_error
    from hfi_core.errors import UserError
    from hfi_core.io.atomic import require_writable
    from hfi_core.params import load_params

    params = with_local_device(load_params(PARAMS))
    folder = MODELS / row
    params.require_row(row)
    if row != "base" and not folder.exists():
        raise UserError(f"{folder} is missing. To make it: `hfi run --until distill`.")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder.")
    require_writable(out / f"{row}.png")
    with show_progress(f"sample {row}") as progress, out_of_memory_as_user_error(params.compute):
        from hfi_core.compute.device import configure_torch
        from hfi_core.inversion.tokens import load_tokens
        from hfi_core.io.images import save_image
        from hfi_core.models.diffusion import sampling
        from hfi_core.models.diffusion.loading import load_safeguarded_model

        named = {name for prompt in prompts for name in _NAMED_TOKEN.findall(prompt)}
        tokens = load_tokens(TOKENS) if named and TOKENS.exists() else {}
        _require_tokens(named, tokens)
        configure_torch(params.compute)
        model = load_safeguarded_model(params.model, params.compute, folder)
        unread = {prompt: model.text.unread_end(prompt, tokens) for prompt in prompts}
        requests = [sampling.SampleRequest(prompt, seed) for prompt in prompts]
        drawn = sampling.draw_pictures(
            model, requests, params.sampler, block=params.compute.block, tokens=tokens, progress=progress
        )
        paths = []
        for _, pixels in drawn:
            paths.append(_next_path(out, f"{row}-{seed}"))
            save_image(paths[-1], pixels)
    for path, prompt in zip(paths, prompts, strict=True):
        info(f"{path}  {prompt}")
        if unread[prompt]:
            warn(f"{path}: the prompt is too long. The text encoder did not read its end: {unread[prompt]!r}")


def _require_tokens(named: Iterable[str], known: Collection[str]) -> None:
    """Raise UserError if a prompt names a token that does not exist."""
    from hfi_core.errors import UserError, listed

    unknown = sorted(set(named) - set(known))
    if unknown:
        those = listed(sorted(known)) or "none yet; `hfi run --until invert` makes them"
        raise UserError(
            f"There is no token {listed(unknown)}; there are: {those}.\n"
            "To fix this: correct the name. If you mean the characters, put a space between the brackets."
        )


def _next_path(folder: Path, name: str) -> Path:
    """Return the path of a new picture, after those that are in the folder."""
    ends = [path.stem.removeprefix(f"{name}-") for path in folder.glob(f"{name}-*.png")]
    number = max((int(end) for end in ends if end.isdecimal()), default=0) + 1
    return folder / f"{name}-{number:03d}.png"
