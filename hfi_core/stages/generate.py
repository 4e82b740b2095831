"""Stage 1: draw the candidates that people will judge (method, section 1)."""

import shutil
from dataclasses import replace
from pathlib import Path

from hfi_core.candidates.manifest import MANIFEST, Candidate
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import picture_seed
from hfi_core.compute.shards import unfinished_blocks
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_jsonl
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Params
from hfi_core.pipeline.stage import StageContext


def run(context: StageContext) -> dict[str, float]:
    """Draw pictures for each prompt of the concept `unit`. Pictures that lie in `work` are not drawn again."""
    params, unit, work = context.params, context.unit, context.work
    requests = _requests(params, unit)
    with atomic_folder(context.outputs["candidates"]) as folder:
        draw(replace(context, work=work or folder))
        rows = []
        for request in requests:
            target = _picture(folder, unit, request)
            if work:
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(_picture(work, unit, request), target)
            rows.append(
                Candidate(
                    id=picture_id(unit, request),
                    prompt=request.prompt,
                    seed=request.seed,
                    sampler=params.sampler,
                    model=params.model.digest,
                    sha256=sha256_of_file(target),
                )
            )
        write_jsonl(folder / MANIFEST, [row.model_dump(mode="json") for row in sorted(rows, key=lambda row: row.id)])
    return {"candidates": len(requests)}


def draw(context: StageContext) -> None:
    """Draw the shard's pictures that `work` lacks."""
    params, unit, work = context.params, context.unit, context.require_work()
    requests, block = _requests(params, unit), params.compute.block
    missing = unfinished_blocks(requests, block, lambda request: _picture(work, unit, request).exists(), context.shard)
    if not missing:
        return
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    for request, pixels in draw_pictures(model, missing, params.sampler, block=block, progress=context.progress):
        save_image(_picture(work, unit, request), pixels)


def _requests(params: Params, unit: str) -> list[SampleRequest]:
    return [
        SampleRequest(prompt, picture_seed(params.seed, "generate", unit, prompt, index))
        for prompt in params.concepts[unit].prompts
        for index in range(params.candidates.drawn[unit])
    ]


def _picture(folder: Path, unit: str, request: SampleRequest) -> Path:
    return folder / "pictures" / f"{picture_id(unit, request)}.png"


def picture_id(concept: str, request: SampleRequest) -> str:
    """Return a picture's id, which depends on concept, prompt and seed only."""
    return f"{concept}-{sha256_of_json([request.prompt, request.seed])[:12]}"
