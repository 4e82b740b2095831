"""Register a release in MLflow, once, with its figures and gates as tags."""

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.releases.champion import ALIAS, CHAMPION
from flows.releases.packaging import log_model, save_adapter, save_pipeline
from flows.tracking.client import get_or_create_experiment, registry_client
from flows.tracking.runs import metric_name
from flows.versioning import pointers
from flows.versioning.git import git_revision
from hfi_core.errors import UserError, first_line
from hfi_core.evaluation.gates import GateResult, check_gates
from hfi_core.evaluation.records import read_evaluation
from hfi_core.io.hashing import sha256_of, sha256_of_json
from hfi_core.io.json_files import write_json
from hfi_core.params import Params
from hfi_core.pipeline.graph import params_digest, pipeline_key, units_of
from hfi_core.pipeline.layout import DVC_LOCK, EVALUATION, RELEASE, STATE
from hfi_core.pipeline.release import LORA_ACCURACY, LORA_WEIGHTS, release_digest, require_whole

_MARK = STATE / "registered.json"
_VERDICT = re.compile(r"- `[^`]+` (pass|fail): ")
"""A gate's line in a version's description."""
_BEFORE_VERDICTS = 2
"""Lines of a description above the first gate's."""


@dataclass(frozen=True)
class Registration:
    """A release's place in the registry."""

    model: str
    version: str
    created: bool
    """False where the release had been registered before."""
    verdicts: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate lets the release through."""
        return all(verdict.passed for verdict in self.verdicts)


def register(params: Params, release: Path = RELEASE, parent: str | None = None) -> Registration:
    """Register a release under `release.model`, alias `candidate`; the same release keeps its one version.

    Raises UserError if there is no release, or MLflow's registry is out of reach.
    """
    from mlflow.exceptions import MlflowException

    told = tuple(check_gates(read_evaluation(EVALUATION), params.release.row, params.release.gates))
    digest = release_digest(release)
    require_whole(release)
    tags = _lineage(params, digest) | _gate_tags(told)
    try:
        client = registry_client(params)
        name = params.release.model
        _ensure_model(client, name)
        found = _version_of(client, name, digest)
        if found is None:
            run_id, model, stored = _log_release(client, params, release, parent)
            tags |= stored | {"hfi.parent": _champion_of(client, name)}
            words = _words(params, told)
            # Its place, not its `models:/` address, which the store would look up at MLflow's global address.
            made = client.create_model_version(
                name, model.artifact_location, run_id, tags=tags, description=words, model_id=model.model_id
            )
            version = made.version
        else:
            version = found.version
            _renew_gates(client, found, told)
        client.set_registered_model_alias(name, ALIAS, version)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"The release could not be registered at {params.tracking.mlflow}: {first_line(error)}\n"
            "Mend tracking.mlflow in params.yaml or the server, then run `hfi register`."
        ) from error
    write_json(_MARK, {"state": _state(params), "model": name, "version": str(version)})
    return Registration(name, str(version), found is None, told)


def is_registered(params: Params) -> bool:
    """Whether what lies here was registered as it is now; answered without MLflow."""
    return _MARK.exists() and json.loads(_MARK.read_text(encoding="utf-8"))["state"] == _state(params)


def _state(params: Params) -> str:
    evaluated = sha256_of(EVALUATION) if EVALUATION.exists() else None
    release = params.release.model_dump(mode="json")
    return sha256_of_json([release_digest(), evaluated, release, params.tracking.mlflow])


def _lineage(params: Params, digest: str) -> dict[str, str]:
    revision, dirty = git_revision()
    feedback = Path(params.feedback.file)
    return {
        "hfi.release": digest,
        "hfi.row": params.release.row,
        "hfi.params": params_digest(params),
        "hfi.pipeline": pipeline_key(params, revision),
        "hfi.feedback": sha256_of(feedback) if feedback.exists() else "none",
        "hfi.feedback.simulated": str(bool(params.feedback.simulated)).lower(),
        "hfi.base": params.model.digest,
        "hfi.dvc.lock": sha256_of(DVC_LOCK) if DVC_LOCK.exists() else "none",
        "hfi.git.revision": revision,
        "hfi.git.dirty": str(dirty).lower(),
    }


def _champion_of(client, name: str) -> str:
    """The version that the new one is to follow."""
    return str(client.get_registered_model(name).aliases.get(CHAMPION, "none"))


def _words(params: Params, told: tuple[GateResult, ...]) -> str:
    """What a person reads first of a version."""
    kind = "simulated" if params.feedback.simulated else "people's"
    concepts = ", ".join(f"{name} ({spec.text!r})" for name, spec in params.concepts.items())
    lines = [
        f"Concepts {concepts} removed from `{params.model.source}` by row `{params.release.row}`, on {kind} feedback.",
        "",
        *_verdict_lines(told),
        "",
        f"To promote it, move the alias `{CHAMPION}` here; tag `approved_by` says who, `override` why in spite of a "
        "failed gate. Card: `artifacts/release/README.md` of the model, its picture beside it.",
    ]
    return "\n".join(lines)


def _verdict_lines(told: tuple[GateResult, ...]) -> list[str]:
    return [f"- `{verdict.metric}` {verdict}" for verdict in told]


def _gate_tags(told: tuple[GateResult, ...]) -> dict[str, str]:
    passed = "pass" if all(verdict.passed for verdict in told) else "fail"
    return {"gates": passed} | {f"gate.{metric_name(verdict.metric)}": str(verdict) for verdict in told}


def _ensure_model(client, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Safeguarded by Human Feedback Inversion; see the tags.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version_of(client, name: str, digest: str):
    found = client.search_model_versions(f"name = '{name}' and tag.`hfi.release` = '{digest}'")
    return found[0] if found else None


def _renew_gates(client, version: Any, told: tuple[GateResult, ...]) -> None:
    """Gates may have been moved since the release was registered; what people added to the description stays."""
    place, tags, wanted = (version.name, version.version), version.tags, _gate_tags(told)
    for key in tags:
        if key.startswith("gate.") and key not in wanted:
            client.delete_model_version_tag(*place, key)
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_model_version_tag(*place, key, value)
    lines = (version.description or "").splitlines()
    old = [number for number, line in enumerate(lines) if _VERDICT.match(line)]
    at = old[0] if old else min(_BEFORE_VERDICTS, len(lines))
    kept = [line for line in lines[at:] if not _VERDICT.match(line)]
    if (renewed := [*lines[:at], *_verdict_lines(told), *kept]) != lines:
        client.update_model_version(*place, "\n".join(renewed))


def _lora_tags(release: Path, address: str) -> dict[str, str]:
    """Where the LoRA is, its rank, and what remains of the difference."""
    told = json.loads((release / LORA_ACCURACY).read_text(encoding="utf-8"))
    pictures = told["pictures"]
    return {
        "hfi.lora": address,
        "hfi.lora.rank": str(told["rank"]),
        "hfi.lora.weights": f"lacks {told['weights']['relative_frobenius']:.3f} of the change (Frobenius norm)",
        "hfi.lora.pictures": f"differ by {pictures['mean_absolute_difference']:.2f} of 255 (n {pictures['n']}; "
        f"base and release by {pictures['base_and_release']:.2f})",
    }


def _log_release(client: Any, params: Params, release: Path, parent: str | None) -> tuple[str, Any, dict[str, str]]:
    """Store the release and its figures in a run of its own: the run, the pipeline's model, and tags of the rest."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    from flows.releases import evaluation_record

    below = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
    run_id = client.create_run(get_or_create_experiment(client, params), tags=below, run_name="register").info.run_id
    status, tags = "FAILED", {}
    try:
        if (release / LORA_WEIGHTS).exists():
            lora = log_model(client, run_id, "lora", partial(save_adapter, params, release))
            tags |= _lora_tags(release, lora.model_uri)
        model = log_model(client, run_id, "model", partial(save_pipeline, params, release))
        with evaluation_record.gather_record(params, EVALUATION) as (folder, kept):
            client.log_artifacts(run_id, str(folder), evaluation_record.FOLDER)
        with pointers.collect_pointers(units_of(params)) as (folder, recorded):
            client.log_artifacts(run_id, str(folder), pointers.FOLDER)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id, model, tags | {evaluation_record.TAG: kept, pointers.TAG: recorded}
