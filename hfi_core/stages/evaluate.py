"""Stage 6: draw every suite of one row at the seeds that all rows share, and have each picture judged (method, 6)."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import numpy as np
import torch

from hfi_core.compute.device import configure_torch
from hfi_core.compute.shards import WHOLE, Shard, unfinished_blocks
from hfi_core.evaluation.definitions import SHARES
from hfi_core.evaluation.records import FEATURES, PROVENANCE, RECORDS
from hfi_core.evaluation.shots import SEED_RULE, Shot, list_rivals, list_shots
from hfi_core.inversion.attackers import list_attackers
from hfi_core.inversion.tokens import FILE, load_tokens
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.io.images import load_image, save_image
from hfi_core.io.json_files import write_json, write_jsonl
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.judges.base import Judge, load_judge
from hfi_core.metrics.distances import clip_score
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.loading import WEIGHTS, load_safeguarded_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Params
from hfi_core.pipeline.stage import StageContext
from hfi_core.progress import Progress

_PACKAGES = ("hfi-pipeline", "torch", "diffusers", "transformers", "tokenizers", "safetensors", "numpy", "pillow")


def run(context: StageContext) -> dict[str, float]:
    """Evaluate the row `unit`; pictures that lie in `work` are not drawn again."""
    params, unit, work, progress = context.params, context.unit, context.work, context.progress
    configure_torch(params.compute)
    shots = list_shots(params)
    # Before anything is drawn, so that a wrong judge costs seconds and not the drawing.
    judge, clip = _eyes(params)
    with atomic_folder(context.outputs["evaluation"]) as folder:
        kept = work or folder / "work"
        _draw(params, unit, context.inputs, kept, WHOLE, progress)
        _look(params, unit, judge, clip, kept, WHOLE, progress)
        looks, records, features, figures = _looks(params), [], [], {}
        for suite in dict.fromkeys(shot.suite for shot in shots):
            part = [shot for shot in shots if shot.suite == suite]
            seen = [load_tensors(_seen(kept, one))[0] for one in looks if one.suite == suite]
            verdicts = judge.judge(
                torch.cat([one["judge"] for one in seen]), [shot.prompt for shot in part], list_rivals(params, suite)
            )
            images = torch.cat([one["clip"] for one in seen])
            scores = clip_score(images.numpy(), _texts(clip, part).numpy())
            for shot, verdict, score in zip(part, verdicts, scores, strict=True):
                target = folder / shot.file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_kept(kept, shot.request), target)
                records.append(
                    {name: getattr(verdict, name) for name in SHARES}
                    | {"index": shot.index, "suite": suite, "prompt": shot.request.prompt, "seed": shot.request.seed}
                    | {"attacker": shot.attacker}
                    | {"clip_score": round(float(score), 6), "sha256": sha256_of_file(target)}
                )
            features.append(images)
            figures |= {
                f"{name}@{suite}": sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts)
                for name in SHARES
            }
        write_jsonl(folder / RECORDS, records)
        save_tensors(folder / FEATURES, {"features": torch.cat(features)})
        write_json(folder / PROVENANCE, _provenance(params, unit, context.inputs))
        if not work:
            shutil.rmtree(kept)
    return figures


def draw(context: StageContext) -> None:
    """Draw the shard's pictures that `work` lacks."""
    configure_torch(context.params.compute)
    _eyes(context.params)  # as in `run`
    _draw(context.params, context.unit, context.inputs, context.work, context.shard, context.progress)


def look(context: StageContext) -> None:
    """Show the shard's pictures to judge and CLIP, where `work` lacks their answers; all must have been drawn."""
    params = context.params
    configure_torch(params.compute)
    _look(params, context.unit, *_eyes(params), context.work, context.shard, context.progress)


def _eyes(params: Params) -> tuple[Judge, Clip]:
    return load_judge(params.evaluate.judge, params.compute), Clip.load(params.clip, params.compute)


def _draw(params: Params, unit: str, inputs: Mapping[str, Path], kept: Path, shard: Shard, progress: Progress) -> None:
    """Draw what is not there yet, in whole blocks over all suites: a picture's place in its block never changes."""
    requests, block = [shot.request for shot in list_shots(params)], params.compute.block
    missing = unfinished_blocks(requests, block, lambda request: _kept(kept, request).exists(), shard)
    if not missing:
        return
    model = load_safeguarded_model(params.model, params.compute, inputs["model"])
    tokens = load_tokens(inputs["attack"])
    pictures = draw_pictures(
        model, missing, params.sampler, block=block, tokens=tokens,
        progress=lambda done, total, _: progress(done, total, f"{unit}: pictures"),
    )  # fmt: skip
    for request, pixels in pictures:
        save_image(_kept(kept, request), pixels)


@dataclass(frozen=True)
class _Look:
    """A block of one suite's pictures, which are judged and embedded together."""

    suite: str
    number: int
    shots: Sequence[Shot]


def _looks(params: Params) -> list[_Look]:
    """Blocks within each suite, since a judge answers for a suite."""
    shots, block, found = list_shots(params), params.compute.block, []
    for suite in dict.fromkeys(shot.suite for shot in shots):
        part = [shot for shot in shots if shot.suite == suite]
        found += [_Look(suite, start // block, part[start : start + block]) for start in range(0, len(part), block)]
    return found


def _look(params: Params, unit: str, judge: Judge, clip: Clip, kept: Path, shard: Shard, progress: Progress) -> None:
    missing = [one for one in shard.of(_looks(params)) if not _seen(kept, one).exists()]
    for done, one in enumerate(missing, 1):
        pictures = np.stack([load_image(_kept(kept, shot.request)) for shot in one.shots])
        answers = {"judge": judge.see(pictures), "clip": clip.image_features(pictures, params.compute.block)}
        save_tensors(_seen(kept, one), answers)
        progress(done, len(missing), f"{unit}: judgements")


def _seen(kept: Path, one: _Look) -> Path:
    return kept / "seen" / f"{one.suite}-{one.number:06d}.safetensors"


def _kept(kept: Path, request: SampleRequest) -> Path:
    return kept / "drawn" / f"{sha256_of_json([request.prompt, request.seed])[:24]}.png"


def _texts(clip: Clip, shots: list[Shot]) -> torch.Tensor:
    """Text features (N, D) of the shots' prompts in plain words: CLIP does not know the attacker's token."""
    texts = sorted({shot.prompt for shot in shots})
    features = dict(zip(texts, clip.text_features(texts), strict=True))
    return torch.stack([features[shot.prompt] for shot in shots])


def _provenance(params: Params, unit: str, inputs: Mapping[str, Path]) -> dict:
    weights = inputs["model"] / WEIGHTS
    attackers = [attacker for name in params.concepts for attacker in list_attackers(params.attack, name)]
    tokens = {attacker.name: sha256_of_file(attacker.folder(inputs["attack"]) / FILE) for attacker in attackers}
    return {
        "row": unit,
        "versions": {"python": python_version()} | {name: version(name) for name in _PACKAGES},
        "model": params.model.digest,
        "weights_sha256": sha256_of_file(weights) if weights.exists() else None,
        "reinverted_sha256": tokens,
        "clip": params.clip.digest,
        "judge": params.evaluate.judge.model_dump(mode="json", exclude={"source"}),
        "sampler": params.sampler.model_dump(mode="json"),
        "compute": params.compute.model_dump(mode="json"),
        "seed": params.seed,
        "seeds": SEED_RULE,
    }
