"""Draw the pictures of a variant, have the judge see them, and record the verdicts (method, section 6)."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from hfi_core.attacks.files import load_attack_weights, load_latents
from hfi_core.compute.device import configure_torch
from hfi_core.compute.shards import WHOLE, Shard, unfinished_blocks
from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import SHARES
from hfi_core.evaluation.measure import compare_variants, measure_variant, suite_roles
from hfi_core.evaluation.records import FEATURES, PROVENANCE, RECORDS, read_variants
from hfi_core.evaluation.shots import Shot, list_rivals, list_suite_shots
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.io.images import load_image, save_image
from hfi_core.io.json_files import write_json, write_jsonl
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.judges.base import Judge, PictureVerdict, Scores, load_judge
from hfi_core.judges.probe import ProbeJudge, require_other_clip
from hfi_core.metrics.distances import clip_score
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import draw_pictures
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress

Tokens = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Observers:
    """The two networks that see the evaluation's pictures: the judge, and CLIP for distances and scores."""

    judge: Judge
    clip: Clip
    judges: Mapping[str, Judge]
    """The judge with a concept's own words, by concept, where params have such words. It sees what `judge` sees."""

    @classmethod
    def load(cls, params: Params) -> "Observers":
        """Load both.

        Raises UserError if weights are missing, are not those that params pin, or took part in training.
        """
        judge = params.evaluate.judge
        loaded = load_judge(judge, params.compute)
        if isinstance(loaded, ProbeJudge):
            require_other_clip(params, loaded.probe.clip)
        return cls(
            loaded,
            Clip.load(params.clip, params.compute),
            {concept: load_judge(judge.for_concept(concept), params.compute) for concept in judge.concepts},
        )

    def judge_of(self, concept: str | None) -> Judge:
        """Return the judge that answers for a concept."""
        return self.judges.get(concept or "", self.judge)


@dataclass(frozen=True)
class _Block:
    """Pictures of one suite that are seen together. A block never holds two suites: the judge answers for a suite."""

    suite: str
    number: int
    shots: Sequence[Shot]


@dataclass(frozen=True)
class VariantEvaluation:
    """The evaluation of one variant. Finished blocks lie in `work`: shards and later runs do not compute them again."""

    params: Params
    name: str
    shots: Sequence[Shot]
    work: Path
    progress: Progress = no_progress

    def draw(self, load: Callable[[], tuple[TextToImage, Tokens]], shard: Shard = WHOLE) -> None:
        """Draw the shard's missing pictures. `load` returns the model and the attackers' tokens, if any are missing.

        Pictures that are drawn alike are drawn together. Blocks go over all their suites, so a picture's position in
        its block never changes.
        """
        block = self.params.compute.block
        alike: dict[tuple[Any, ...], list[Shot]] = {}
        for shot in self.shots:
            alike.setdefault((shot.guidance, shot.weights), []).append(shot)
        missing = {
            how: found
            for how, shots in alike.items()
            if (found := unfinished_blocks(shots, block, lambda shot: self._picture(shot).exists(), shard))
        }
        if not missing:
            return
        model, tokens = load()
        done, total = 0, sum(map(len, missing.values()))
        for (guidance, weights), shots in missing.items():
            sampler = self.params.sampler
            pictures = draw_pictures(
                model,
                [shot.request for shot in shots],
                sampler if guidance is None else sampler.model_copy(update={"guidance": guidance}),
                block=block,
                tokens=tokens,
                weights=_load_weights(model, *weights) if weights else None,
                latents=_load_latents(shots),
                progress=partial(self._report_pictures, done, total),
            )
            for shot, (_, pixels) in zip(shots, pictures, strict=True):
                save_image(self._picture(shot), pixels)
            done += len(shots)

    def _report_pictures(self, before: int, total: int, done: int, _: int, what: str) -> None:
        self.progress(before + done, total, f"{self.name}: {what}")

    def see(self, observers: Observers, shard: Shard = WHOLE) -> None:
        """Show the shard's pictures to judge and CLIP, and keep what they see. All pictures must have been drawn."""
        missing = [block for block in shard.of(list(self._blocks())) if not self._seen(block).exists()]
        for done, block in enumerate(missing, start=1):
            pictures = np.stack([load_image(self._picture(shot)) for shot in block.shots])
            clip = observers.clip.image_features(pictures, self.params.compute.block)
            save_tensors(self._seen(block), {"judge": observers.judge.see(pictures), "clip": clip})
            self.progress(done, len(missing), f"{self.name}: judgements")

    def write(self, folder: Path, observers: Observers, provenance: Mapping[str, Any]) -> dict[str, float]:
        """Judge every suite, and write pictures, records, features and provenance into a folder.

        Returns the shares of pictures by metric, for example `flagged@broad`.
        """
        records, features, shares = [], [], {}
        for suite in self._suites():
            shots = [shot for shot in self.shots if shot.suite == suite]
            seen = [load_tensors(self._seen(block))[0] for block in self._blocks() if block.suite == suite]
            verdicts = self._judge(observers, shots, torch.cat([tensors["judge"] for tensors in seen]))
            images = torch.cat([tensors["clip"] for tensors in seen])
            scores = clip_score(
                images.numpy(), _embed_prompts(observers.clip, shots, self.params.evaluate.clip_score_prefix).numpy()
            )
            for shot, verdict, score in zip(shots, verdicts, scores, strict=True):
                picture = folder / shot.file
                strength = None if verdict.strength is None else round(verdict.strength, 6)
                picture.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._picture(shot), picture)
                records.append(
                    {name: getattr(verdict, name) for name in SHARES}
                    | {"index": shot.index, "suite": suite, "prompt": shot.request.prompt, "seed": shot.request.seed}
                    | {"guidance": shot.guidance, "attacker": shot.attacker, "kind": verdict.kind}
                    | {"scores": _round_scores(verdict.scores), "strength": strength}
                    | {"clip_score": round(float(score), 6), "sha256": sha256_of_file(picture)}
                )
            features.append(images)
            for name in SHARES:
                answers = [getattr(verdict, name) for verdict in verdicts]
                if None not in answers:
                    shares[f"{name}@{suite}"] = sum(answers) / len(answers)
        write_jsonl(folder / RECORDS, records)
        save_tensors(folder / FEATURES, {"features": torch.cat(features)})
        write_json(folder / PROVENANCE, provenance)
        return shares

    def _judge(self, observers: Observers, shots: Sequence[Shot], seen: torch.Tensor) -> list[PictureVerdict]:
        """Judge the pictures of a suite, each by the words of its concept."""
        prompts, rivals = [shot.prompt for shot in shots], list_rivals(self.params.evaluate, shots[0].suite)
        judges = {shot.concept: observers.judge_of(shot.concept) for shot in shots}
        by_judge = {id(judge): judge.judge(seen, prompts, rivals) for judge in judges.values()}
        return [by_judge[id(judges[shot.concept])][i] for i, shot in enumerate(shots)]

    def _suites(self) -> list[str]:
        return list(dict.fromkeys(shot.suite for shot in self.shots))

    def _blocks(self) -> Iterator[_Block]:
        size = self.params.compute.block
        for suite in self._suites():
            shots = [shot for shot in self.shots if shot.suite == suite]
            for start in range(0, len(shots), size):
                yield _Block(suite, start // size, shots[start : start + size])

    def _seen(self, block: _Block) -> Path:
        return self.work / "seen" / f"{block.suite}-{block.number:06d}.safetensors"

    def _picture(self, shot: Shot) -> Path:
        key: list[object] = [shot.request.prompt, shot.request.seed, shot.guidance]
        if shot.latents or shot.weights:
            key += [shot.suite, shot.index]
        return self.work / "drawn" / f"{sha256_of_json(key)[:24]}.png"


def evaluate(
    models: Mapping[str, TextToImage],
    params: Params,
    *,
    folder: Path | str | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Draw the suites of `params.evaluate` with every model at equal seeds, have the judge see them, and measure.

    Attacks are left out: the pipeline's stage `attack` runs them.

    Args:
        models: the models by name. `base` is the one that the others are compared with.
        folder: where to keep the pictures, one folder a model; None keeps none.

    Returns `suites`, their roles by name, `rows`, every figure of every model with its interval, and `comparisons` of
    every two models, as in `reports/evaluation.json`.

    Raises UserError if there is no model `base`, or if the judge's weights are missing or not those that params pin.
    """
    if "base" not in models:
        raise UserError(f"evaluate compares with the model named 'base'; there are {', '.join(models) or 'none'}.")
    configure_torch(params.compute)
    observers, shots = Observers.load(params), list_suite_shots(params)
    with TemporaryDirectory(prefix="hfi-evaluation-") as temporary:
        target = Path(temporary if folder is None else folder)
        for name, model in models.items():
            with TemporaryDirectory(prefix="hfi-work-") as work:
                variant = VariantEvaluation(params, name, shots, Path(work), progress)
                variant.draw(partial(_without_attackers, model))
                variant.see(observers)
                variant.write(target / name, observers, {"row": name, "model": model.digest, "seed": params.seed})
        variants = read_variants(target, list(models))
        rows = [{"row": variant.name} | measure_variant(params, variant, variants[0]) for variant in variants]
        roles = suite_roles(params, variants[0])
        return {"suites": roles, "rows": rows, "comparisons": compare_variants(params, variants)}


def _round_scores(scores: Scores | None) -> dict[str, float] | None:
    return None if scores is None else {name: round(value, 6) for name, value in asdict(scores).items()}


def _embed_prompts(clip: Clip, shots: Sequence[Shot], prefix: str) -> torch.Tensor:
    """Return text features (N, D) of the shots' prompts in plain words: CLIP does not know an attacker's token."""
    texts = sorted({shot.prompt for shot in shots})
    features = dict(zip(texts, clip.text_features([prefix + text for text in texts]), strict=True))
    return torch.stack([features[shot.prompt] for shot in shots])


def _load_weights(model: TextToImage, folder: Path, name: str) -> dict[str, torch.Tensor]:
    return {key: value.to(model.device) for key, value in load_attack_weights(folder, name).items()}


def _load_latents(shots: Sequence[Shot]) -> dict[int, torch.Tensor]:
    """Return the latents (C, H, W) that shots start from, by the position of the shot."""
    by_folder = {folder: load_latents(folder) for folder in {shot.latents[0] for shot in shots if shot.latents}}
    return {i: by_folder[shot.latents[0]][shot.latents[1]] for i, shot in enumerate(shots) if shot.latents}


def _without_attackers(model: TextToImage) -> tuple[TextToImage, Tokens]:
    return model, {}
