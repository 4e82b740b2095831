"""Estimate what a run of the whole graph will take. Each figure has a source; nothing is guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from math import ceil
from operator import add
from pathlib import Path

from flows.estimation.model_size import ModelSize, measure_model
from flows.estimation.throughput import Rate
from flows.runtime.console import format_bytes, format_duration
from hfi_core.candidates.manifest import read_manifest
from hfi_core.models.imported import require_fitting
from hfi_core.params import Imported, Params, Source, is_learned, is_trained_parameter
from hfi_core.params.workload import Workload, count_evaluation_pictures, count_unet_passes
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import CANDIDATES

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_CHANNELS = 3


@dataclass(frozen=True)
class EstimatedQuantity:
    """One line of the estimate; `value` is None if it is not known."""

    name: str
    value: float | None
    unit: str
    source: str

    def format_value(self) -> str:
        """Format the value for people."""
        if self.value is None:
            return "not known"
        if self.unit == "bytes":
            return format_bytes(self.value)
        if self.unit == "hours":
            return f"{self.value:,.2f} h ({format_duration(self.value * 3600)})"
        return f"{self.value:,.0f}"


def estimate_run(params: Params, rate: Rate | None) -> list[EstimatedQuantity]:
    """Return every figure for the whole graph, as if nothing had been computed yet.

    Raises UserError if the model's folder is damaged, or an imported folder of candidates is missing.
    """
    model = measure_model(params.model)
    candidates = dict(_count_candidates(params))
    work = reduce(add, (count_unet_passes(unit.stage.name, unit.unit, params) for unit in units_of(params)), Workload())
    return [
        *_pictures(params, candidates, work),
        _judgements(params, candidates),
        EstimatedQuantity(
            "gradient steps", work.steps, "steps", "params: steps of invert, removals (rounds) and attacks"
        ),
        EstimatedQuantity(
            "UNet passes forward",
            work.forward,
            "passes",
            "params: pictures x sampler.steps x 2 under guidance, in whole blocks; roll-outs and targets of removals",
        ),
        EstimatedQuantity(
            "UNet passes with gradient", work.gradient, "passes", "params: gradient steps x batch x conditions"
        ),
        _hours(params.compute.device, work, rate),
        *_memory(params, model, rate),
        *_disk(params, model, candidates),
    ]


def _count_candidates(params: Params) -> Iterator[tuple[str, int]]:
    for name, concept in params.concepts.items():
        drawn = params.candidates.drawn.get(name, 0) * len(concept.prompts)
        yield name, drawn + sum(len(read_manifest(Path(folder))) for folder in params.candidates.sets_of(name))


def _pictures(params: Params, candidates: dict[str, int], work: Workload) -> Iterator[EstimatedQuantity]:
    drawn = params.candidates.drawn
    sources = [f"{name}: {len(params.concepts[name].prompts)} prompts x {count}" for name, count in drawn.items()]
    sources += [
        f"{name}: counted in {', '.join(params.candidates.sets_of(name))}" for name in params.candidates.imported
    ]
    yield EstimatedQuantity("candidates", sum(candidates.values()), "pictures", "; ".join(sources))
    rows, pictures = len(params.removals), count_evaluation_pictures(params)
    yield EstimatedQuantity(
        "evaluation", rows * pictures, "pictures", f"{rows} rows x {pictures} pictures (suites, attacks)"
    )
    others = work.pictures - rows * pictures
    others -= sum(count * len(params.concepts[name].prompts) for name, count in drawn.items())
    yield EstimatedQuantity(
        "checks and samples",
        others,
        "pictures",
        "invert.check for each token, samples during removals, and release.lora.pictures for each rank that is tried",
    )


def _judgements(params: Params, candidates: dict[str, int]) -> EstimatedQuantity:
    if params.feedback.simulated:
        return EstimatedQuantity("judgements of people", 0, "judgements", "feedback.simulated judges in their place")
    total, sources, judgements = 0, [], params.annotation.judgements
    for name, count in candidates.items():
        if params.concepts[name].feedback == "ranking":
            questions = ceil(count / params.annotation.ranked)
            sources.append(f"{name}: {count} candidates / {params.annotation.ranked} a ranking x {judgements}")
        else:
            questions = count
            sources.append(f"{name}: {count} candidates x {judgements}")
        total += questions * judgements
    return EstimatedQuantity(
        "judgements of people", total, "judgements", "; ".join(sources) + " (annotation.judgements)"
    )


def _hours(device: str, work: Workload, rate: Rate | None) -> EstimatedQuantity:
    name = f"hours on {device}"
    if rate is None:
        return EstimatedQuantity(
            name, None, "hours", "no unit has run with this model on this device yet; `hfi plan --measure` measures it"
        )
    return EstimatedQuantity(name, rate.seconds(work) / 3600, "hours", rate.source)


def _memory(params: Params, model: ModelSize | None, rate: Rate | None) -> Iterator[EstimatedQuantity]:
    if rate is not None:
        yield EstimatedQuantity(
            "memory, peak", rate.peak_memory, "bytes", f"highest memory of the process; {rate.source}"
        )
        if rate.peak_device_memory:
            yield EstimatedQuantity(
                "device memory, peak", rate.peak_device_memory, "bytes", f"counted by torch; {rate.source}"
            )
    if model is None:
        yield EstimatedQuantity("memory, weights", None, "bytes", _absent_model(params.model))
        return
    width = _BYTES[params.compute.dtype]
    yield EstimatedQuantity(
        "memory, weights", model.parameters * width, "bytes",
        f"{model.parameters:,} parameters in {model.folder} x {width} bytes ({params.compute.dtype}); a lower bound",
    )  # fmt: skip


def _disk(params: Params, model: ModelSize | None, candidates: dict[str, int]) -> Iterator[EstimatedQuantity]:
    if model is None:
        yield EstimatedQuantity("disk", None, "bytes", _absent_model(params.model))
        return
    count = sum(candidates.values()) + len(params.removals) * count_evaluation_pictures(params)
    picture_bytes, source = _picture_bytes(model)
    pictures = count * picture_bytes
    yield EstimatedQuantity("disk, pictures", pictures, "bytes", f"{count:,} pictures x {source}")
    learned = [spec for spec in params.removals.values() if is_learned(spec)]
    parameters = sum(
        size
        for spec in learned
        for name, size in model.unet_parameters.items()
        if is_trained_parameter(name, getattr(spec, "learns", "cross"))
    )
    source = f"{len(learned)} removals with {parameters:,} parameters that they learn"
    for row, spec in params.removals.items():
        if isinstance(spec, Imported):
            replaced = require_fitting(row, spec, model.folder)
            parameters += replaced
            source += f", at most {replaced:,} parameters of {row}"
    models = parameters * _BYTES["float32"]
    yield EstimatedQuantity("disk, models", models, "bytes", f"{source} x 4 bytes (float32)")
    yield EstimatedQuantity("disk, release", model.bytes, "bytes", f"files of the networks in {model.folder}")
    yield EstimatedQuantity(
        "disk, in all", 2 * (pictures + models + model.bytes), "bytes",
        "twice the above, because DVC's cache holds a copy (not with cache.type reflink or hardlink)",
    )  # fmt: skip


def _picture_bytes(model: ModelSize) -> tuple[float, str]:
    """Return the bytes of a picture (the mean of existing ones, else its uncompressed size) and the source."""
    sizes = [path.stat().st_size for path in CANDIDATES.glob("*/pictures/*.png")]
    if sizes:
        mean = sum(sizes) / len(sizes)
        return mean, f"{mean:,.0f} bytes, the mean of {len(sizes):,} PNG files in candidates/"
    side = model.picture_side
    return side * side * _CHANNELS, f"{side} x {side} x {_CHANNELS} bytes, uncompressed: PNG takes less"


def _absent_model(model: Source) -> str:
    return f"{model.source} is not on this machine; `hfi params pin` fetches it"
