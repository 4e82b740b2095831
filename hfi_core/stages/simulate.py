"""Stage `simulate`: a simulated crowd judges the candidates; with real feedback it is no part of the graph."""

from collections.abc import Mapping
from pathlib import Path

from hfi_core.candidates.manifest import read_manifest
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.simulated_crowd import simulate_judgements, view_candidates
from hfi_core.feedback.schema import row_of
from hfi_core.io.json_files import write_jsonl
from hfi_core.models.weights import checked
from hfi_core.params import EMBEDDED, Params
from hfi_core.progress import Progress, no_progress


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Write the feedback file of the crowd `unit` about every concept, sorted by the judgements' ids."""
    crowd = params.feedback.simulated[unit]
    judge = load_judge_network(checked(EMBEDDED, None, crowd.digest, "annotators"))
    said = []
    for name, concept in params.concepts.items():
        folder = inputs["candidates"] / name
        impressions = view_candidates(judge, folder, read_manifest(folder), progress)
        said += simulate_judgements(unit, crowd, name, concept, impressions, params.seed)
    said.sort(key=lambda judgement: judgement.id)
    write_jsonl(outputs["feedback"], [row_of(judgement) for judgement in said])
    return {"judgements": len(said), "annotators": crowd.annotators}
