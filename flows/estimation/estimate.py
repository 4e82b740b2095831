"""What a run of the whole graph will take, each figure with where it comes from; nothing is guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from math import ceil
from operator import add
from pathlib import Path

from flows.estimation.model_size import BaseFolder, look_at_base
from flows.estimation.throughput import Rate
from flows.runtime.console import spell
from hfi_core.candidates.manifest import read_manifest
from hfi_core.params import NoRemoval, Params
from hfi_core.params.workload import Work, shots, work_of
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import CANDIDATES

_GIB = 2**30
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
_UNKNOWN = "not known"
_CHANNELS = 3


@dataclass(frozen=True)
class Figure:
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
            return f"{self.value:,.2f} h ({spell(self.value * 3600)})"
        return f"{self.value:,.0f}"


def estimate(params: Params, rate: Rate | None) -> list[Figure]:
    """Every figure for the whole graph, as if nothing had been made yet.

    Raises UserError if the model's folder is torn or an imported folder of candidates is missing.
    """
    base = look_at_base(params.model)
    candidates = dict(_candidates(params))
    work = reduce(add, (work_of(unit.stage.name, unit.unit, params) for unit in units_of(params)), Work())
    return [
        *_pictures(params, candidates, work),
        _judgements(params, candidates),
        Figure("gradient steps", work.steps, "steps", "params: steps of invert, removals (rounds) and attack"),
        Figure("UNet passes forward", work.forward, "passes", "params: pictures x sampler.steps x 2 under guidance, "
               "in whole blocks; roll-outs and targets of removals"),
        Figure("UNet passes with gradient", work.gradient, "passes", "params: gradient steps x batch x conditions"),
        _hours(params, work, rate),
        *_memory(params, base, rate),
        *_disk(params, base, candidates),
    ]  # fmt: skip


def _candidates(params: Params) -> Iterator[tuple[str, int]]:
    for name, count in params.candidates.drawn.items():
        yield name, count * len(params.concepts[name].prompts)
    for name, folder in params.candidates.imported.items():
        yield name, len(read_manifest(Path(folder)))


def _pictures(params: Params, candidates: dict[str, int], work: Work) -> Iterator[Figure]:
    drawn = params.candidates.drawn
    told = [f"{name}: {len(params.concepts[name].prompts)} prompts x {count}" for name, count in drawn.items()]
    told += [f"{name}: counted in {folder}" for name, folder in params.candidates.imported.items()]
    yield Figure("candidates", sum(candidates.values()), "pictures", "; ".join(told))
    rows, each = len(params.removals), shots(params)
    yield Figure("evaluation", rows * each, "pictures", f"{rows} rows x {each} pictures (suites, reinverted)")
    on_the_way = work.pictures - rows * each - sum(candidates[name] for name in drawn)
    yield Figure(
        "on the way",
        on_the_way,
        "pictures",
        "invert.check a token, samples while removals learn, and release.lora.pictures for each rank that is tried",
    )


def _judgements(params: Params, candidates: dict[str, int]) -> Figure:
    if params.feedback.simulated:
        return Figure("judgements of people", 0, "judgements", "feedback.simulated answers in their place")
    asked, told, each = 0, [], params.annotation.judgements
    for name, count in candidates.items():
        if params.concepts[name].feedback == "ranking":
            questions = ceil(count / params.annotation.ranked)
            told.append(f"{name}: {count} candidates / {params.annotation.ranked} a ranking x {each}")
        else:
            questions = count
            told.append(f"{name}: {count} candidates x {each}")
        asked += questions * each
    return Figure("judgements of people", asked, "judgements", "; ".join(told) + " (annotation.judgements)")


def _hours(params: Params, work: Work, rate: Rate | None) -> Figure:
    name = f"hours on {params.compute.device}"
    if rate is None:
        return Figure(name, None, "hours", "nothing was run here on this model and device: `hfi plan --measure`")
    return Figure(name, rate.seconds(work) / 3600, "hours", rate.told)


def _memory(params: Params, base: BaseFolder | None, rate: Rate | None) -> Iterator[Figure]:
    if rate is not None:
        yield Figure("memory, peak", rate.peak_memory, "bytes", f"the process's high-water mark; {rate.told}")
        if rate.peak_device_memory:
            yield Figure("device memory, peak", rate.peak_device_memory, "bytes", f"torch's count; {rate.told}")
    if base is None:
        yield Figure("memory, weights", None, "bytes", _away(params))
        return
    width = _WIDTH[params.compute.dtype]
    yield Figure(
        "memory, weights", base.parameters * width, "bytes",
        f"{base.parameters:,} parameters in {base.folder} x {width} bytes ({params.compute.dtype}); a lower bound",
    )  # fmt: skip


def _disk(params: Params, base: BaseFolder | None, candidates: dict[str, int]) -> Iterator[Figure]:
    if base is None:
        yield Figure("disk", None, "bytes", _away(params))
        return
    kept = sum(candidates.values()) + len(params.removals) * shots(params)
    each, told = _picture_bytes(base)
    pictures = kept * each
    yield Figure("disk, pictures", pictures, "bytes", f"{kept:,} kept x {told}")
    learning = sum(not isinstance(spec, NoRemoval) for spec in params.removals.values())
    models = learning * base.removed_parameters * _WIDTH["float32"]
    yield Figure(
        "disk, models", models, "bytes",
        f"{learning} removals x {base.removed_parameters:,} cross-attention parameters x 4 bytes (float32)",
    )  # fmt: skip
    yield Figure("disk, release", base.bytes, "bytes", f"the networks' files in {base.folder}")
    yield Figure(
        "disk, in all", 2 * (pictures + models + base.bytes), "bytes",
        "twice the above: DVC's cache holds a copy (cache.type: reflink or hardlink would spare it)",
    )  # fmt: skip


def _picture_bytes(base: BaseFolder) -> tuple[float, str]:
    """Bytes of a picture, from those that lie here or else without compression, and where from."""
    sizes = [path.stat().st_size for path in CANDIDATES.glob("*/pictures/*.png")]
    if sizes:
        mean = sum(sizes) / len(sizes)
        return mean, f"{mean:,.0f} bytes, the mean of {len(sizes):,} PNG files in candidates/"
    side = base.picture_side
    return side * side * _CHANNELS, f"{side} x {side} x {_CHANNELS} bytes, uncompressed: PNG takes less"


def _away(params: Params) -> str:
    return f"{params.model.source} is not on this machine; `hfi params pin` fetches it"
