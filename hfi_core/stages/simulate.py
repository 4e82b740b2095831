"""Stage `simulate`: a simulated crowd judges the candidates; with real feedback it is no part of the graph."""

from hfi_core.candidates.manifest import read_manifest
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.simulated_crowd import simulate_judgements, view_candidates
from hfi_core.feedback.schema import dump_judgement
from hfi_core.io.json_files import write_jsonl
from hfi_core.models.weights import locate_pinned
from hfi_core.params import EMBEDDED
from hfi_core.pipeline.stage import StageContext


def run(context: StageContext) -> dict[str, float]:
    """Write the feedback file of the crowd `unit` about every concept, sorted by the judgements' ids."""
    params, unit = context.params, context.unit
    crowd = params.feedback.simulated[unit]
    judge = load_judge_network(locate_pinned(EMBEDDED, None, crowd.digest, "annotators"))
    said = []
    for name, concept in params.concepts.items():
        folder = context.inputs["candidates"] / name
        impressions = view_candidates(judge, folder, read_manifest(folder), context.progress)
        said += simulate_judgements(unit, crowd, name, concept, impressions, params.seed)
    said.sort(key=lambda judgement: judgement.id)
    write_jsonl(context.outputs["feedback"], [dump_judgement(judgement) for judgement in said])
    return {"judgements": len(said), "annotators": crowd.annotators}
