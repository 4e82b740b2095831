"""What a run of the whole graph will take, each figure with where it comes from; nothing is guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from math import ceil
from operator import add
from pathlib import Path

from flows.estimation.model_size import ModelSize, measure_model
from flows.estimation.throughput import Rate
from flows.runtime.console import format_duration
from hfi_core.candidates.manifest import read_manifest
from hfi_core.params import NoRemoval, Params
from hfi_core.params.workload import Workload, shots, unet_passes
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import CANDIDATES

_GIB = 2**30
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
_UNKNOWN = "not known"
_CHANNELS = 3


@dataclass(frozen=True)
class EstimatedQuantity:
    """One line of a plan; `value` is None where nothing tells it."""

    name: str
    value: float | None
    unit: str
    source: str

    def spelled(self) -> str:
        """The value for people."""
        if self.value is None:
            return _UNKNOWN
        if self.unit == "bytes":
            return f"{self.value / _GIB:,.2f} GiB"
        if self.unit == "hours":
            return f"{self.value:,.2f} h ({format_duration(self.value * 3600)})"
        return f"{self.value:,.0f}"


def estimate_run(params: Params, rate: Rate | None) -> list[EstimatedQuantity]:
    """Every figure for the whole graph, as if nothing had been made yet.

    Raises UserError if the model's folder is torn or an imported folder of candidates is missing.
    """
    base = measure_model(params.model)
    candidates = dict(_candidates(params))
    work = reduce(add, (unet_passes(unit.stage.name, unit.unit, params) for unit in units_of(params)), Workload())
    return [
        *_pictures(params, candidates, work),
        _judgements(params, candidates),
        EstimatedQuantity(
            "gradient steps", work.steps, "steps", "params: steps of invert, removals (rounds) and attack"
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
        _hours(params, work, rate),
        *_memory(params, base, rate),
        *_disk(params, base, candidates),
    ]


def _candidates(params: Params) -> Iterator[tuple[str, int]]:
    for name, count in params.candidates.drawn.items():
        yield name, count * len(params.concepts[name].prompts)
    for name, folder in params.candidates.imported.items():
        yield name, len(read_manifest(Path(folder)))


def _pictures(params: Params, candidates: dict[str, int], work: Workload) -> Iterator[EstimatedQuantity]:
    drawn = params.candidates.drawn
    told = [f"{name}: {len(params.concepts[name].prompts)} prompts x {count}" for name, count in drawn.items()]
    told += [f"{name}: counted in {folder}" for name, folder in params.candidates.imported.items()]
    yield EstimatedQuantity("candidates", sum(candidates.values()), "pictures", "; ".join(told))
    rows, each = len(params.removals), shots(params)
    yield EstimatedQuantity(
        "evaluation", rows * each, "pictures", f"{rows} rows x {each} pictures (suites, reinverted)"
    )
    on_the_way = work.pictures - rows * each - sum(candidates[name] for name in drawn)
    yield EstimatedQuantity(
        "on the way",
        on_the_way,
        "pictures",
        "invert.check a token, samples while removals learn, and release.lora.pictures for each rank that is tried",
    )


def _judgements(params: Params, candidates: dict[str, int]) -> EstimatedQuantity:
    if params.feedback.simulated:
        return EstimatedQuantity("judgements of people", 0, "judgements", "feedback.simulated answers in their place")
    asked, told, each = 0, [], params.annotation.judgements
    for name, count in candidates.items():
        if params.concepts[name].feedback == "ranking":
            questions = ceil(count / params.annotation.ranked)
            told.append(f"{name}: {count} candidates / {params.annotation.ranked} a ranking x {each}")
        else:
            questions = count
            told.append(f"{name}: {count} candidates x {each}")
        asked += questions * each
    return EstimatedQuantity("judgements of people", asked, "judgements", "; ".join(told) + " (annotation.judgements)")


def _hours(params: Params, work: Workload, rate: Rate | None) -> EstimatedQuantity:
    name = f"hours on {params.compute.device}"
    if rate is None:
        return EstimatedQuantity(
            name, None, "hours", "nothing was run here on this model and device: `hfi plan --measure`"
        )
    return EstimatedQuantity(name, rate.seconds(work) / 3600, "hours", rate.told)


def _memory(params: Params, base: ModelSize | None, rate: Rate | None) -> Iterator[EstimatedQuantity]:
    if rate is not None:
        yield EstimatedQuantity(
            "memory, peak", rate.peak_memory, "bytes", f"the process's high-water mark; {rate.told}"
        )
        if rate.peak_device_memory:
            yield EstimatedQuantity(
                "device memory, peak", rate.peak_device_memory, "bytes", f"torch's count; {rate.told}"
            )
    if base is None:
        yield EstimatedQuantity("memory, weights", None, "bytes", _away(params))
        return
    width = _WIDTH[params.compute.dtype]
    yield EstimatedQuantity(
        "memory, weights", base.parameters * width, "bytes",
        f"{base.parameters:,} parameters in {base.folder} x {width} bytes ({params.compute.dtype}); a lower bound",
    )  # fmt: skip


def _disk(params: Params, base: ModelSize | None, candidates: dict[str, int]) -> Iterator[EstimatedQuantity]:
    if base is None:
        yield EstimatedQuantity("disk", None, "bytes", _away(params))
        return
    kept = sum(candidates.values()) + len(params.removals) * shots(params)
    each, told = _picture_bytes(base)
    pictures = kept * each
    yield EstimatedQuantity("disk, pictures", pictures, "bytes", f"{kept:,} kept x {told}")
    learning = sum(not isinstance(spec, NoRemoval) for spec in params.removals.values())
    models = learning * base.removed_parameters * _WIDTH["float32"]
    yield EstimatedQuantity(
        "disk, models", models, "bytes",
        f"{learning} removals x {base.removed_parameters:,} cross-attention parameters x 4 bytes (float32)",
    )  # fmt: skip
    yield EstimatedQuantity("disk, release", base.bytes, "bytes", f"the networks' files in {base.folder}")
    yield EstimatedQuantity(
        "disk, in all", 2 * (pictures + models + base.bytes), "bytes",
        "twice the above: DVC's cache holds a copy (cache.type: reflink or hardlink would spare it)",
    )  # fmt: skip


def _picture_bytes(base: ModelSize) -> tuple[float, str]:
    """Bytes of a picture, from those that lie here or else without compression, and where from."""
    sizes = [path.stat().st_size for path in CANDIDATES.glob("*/pictures/*.png")]
    if sizes:
        mean = sum(sizes) / len(sizes)
        return mean, f"{mean:,.0f} bytes, the mean of {len(sizes):,} PNG files in candidates/"
    side = base.picture_side
    return side * side * _CHANNELS, f"{side} x {side} x {_CHANNELS} bytes, uncompressed: PNG takes less"


def _away(params: Params) -> str:
    return f"{params.model.source} is not on this machine; `hfi params pin` fetches it"
