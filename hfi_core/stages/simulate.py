"""Stage `simulate`: a simulated crowd judges the candidates. A project with real feedback does not have this stage."""

from hfi_core.candidates.manifest import read_manifest
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.simulated_crowd import simulate_judgements, view_candidates
from hfi_core.feedback.schema import dump_judgement
from hfi_core.io.json_files import write_jsonl
from hfi_core.models.weights import locate_pinned
from hfi_core.pipeline.stage import StageContext


def run(context: StageContext) -> dict[str, float]:
    """Write the feedback of the crowd `unit` about every concept, sorted by the ids of the judgements."""
    params, unit = context.params, context.unit
    crowd = params.feedback.simulated[unit]
    judge = load_judge_network(locate_pinned(crowd.source, crowd.revision, crowd.digest, "annotators"))
    collected = []
    for name, concept in params.concepts.items():
        folder = context.inputs["candidates"] / name
        impressions = view_candidates(judge, folder, read_manifest(folder), context.progress)
        collected += simulate_judgements(judge.world, unit, crowd, name, concept, impressions, params.seed)
    collected.sort(key=lambda judgement: judgement.id)
    write_jsonl(context.outputs["feedback"], [dump_judgement(judgement) for judgement in collected])
    return {"judgements": len(collected), "annotators": crowd.annotators}
