"""Stage 1: draw the candidates that people will judge (method, section 1)."""

from collections.abc import Mapping
from pathlib import Path

from hfi_core.candidates import MANIFEST, Candidate
from hfi_core.diffusion.compute import prepare
from hfi_core.diffusion.loading import load_model
from hfi_core.diffusion.sampling import Request, sample, unfinished
from hfi_core.files import sha256_of_file, sha256_of_json, whole_folder, write_jsonl
from hfi_core.params import Params
from hfi_core.pictures import load_picture, save_picture
from hfi_core.seeding import picture_seed
from hfi_core.stage import Progress, silent


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Draw so many pictures for each of the concept's prompts; those that lie in `work` are not drawn again."""
    concept = params.concepts[unit]
    requests = [
        Request(prompt, picture_seed(params.seed, "generate", unit, prompt, index))
        for prompt in concept.prompts
        for index in range(params.candidates.drawn[unit])
    ]
    ids = {request: picture_id(unit, request) for request in requests}
    with whole_folder(outputs["candidates"]) as folder:
        pictures = work / "pictures" if work else folder / "pictures"
        block = params.compute.block
        missing = unfinished(requests, block, lambda request: (pictures / f"{ids[request]}.png").exists())
        if missing:
            prepare(params.compute)
            model = load_model(params.model, params.compute)
            drawn = sample(model, missing, params.sampler, block=block, progress=progress)
            for request, pixels in drawn:
                save_picture(pictures / f"{ids[request]}.png", pixels)
        rows = []
        for request in requests:
            target = folder / "pictures" / f"{ids[request]}.png"
            if work:
                save_picture(target, load_picture(pictures / target.name))
            rows.append(
                Candidate(
                    id=ids[request],
                    prompt=request.prompt,
                    seed=request.seed,
                    sampler=params.sampler,
                    model=params.model.digest,
                    sha256=sha256_of_file(target),
                )
            )
        write_jsonl(folder / MANIFEST, [row.model_dump(mode="json") for row in sorted(rows, key=lambda row: row.id)])
    return {"candidates": len(requests)}


def picture_id(concept: str, request: Request) -> str:
    """A name that depends on what was asked for and on nothing else."""
    return f"{concept}-{sha256_of_json([request.prompt, request.seed])[:12]}"
