"""Register a release in MLflow, once, with its figures and gates as tags."""

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.releases.champion import CANDIDATE, CHAMPION
from flows.releases.packaging import log_model, save_adapter, save_pipeline
from flows.tracking.client import describe_failure, get_or_create_experiment, registry_client
from flows.tracking.runs import metric_name
from flows.versioning import pointers
from flows.versioning.git import git_revision
from hfi_core.errors import UserError
from hfi_core.evaluation.gates import GateResult, check_gates
from hfi_core.evaluation.records import read_evaluation
from hfi_core.io.hashing import sha256_of, sha256_of_json
from hfi_core.io.json_files import write_json
from hfi_core.params import Params, is_recipe
from hfi_core.pipeline.graph import params_digest, pipeline_key, units_of
from hfi_core.pipeline.layout import DVC_LOCK, EVALUATION, RELEASE, STATE
from hfi_core.pipeline.release import LORA_ACCURACY, LORA_WEIGHTS, release_digest, require_whole
from hfi_core.report.model_card import public_name

_REGISTERED = STATE / "registered.json"
"""What this workspace registered last."""
_VERDICT = re.compile(r"- `[^`]+` (pass|fail): ")
"""A gate's line in a version's description."""
_LINES_BEFORE_VERDICTS = 2
"""In a description, above the line of the first gate."""


@dataclass(frozen=True)
class Registration:
    """A registered release."""

    model: str
    version: str
    created: bool
    """False if the release had been registered before."""
    verdicts: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Return whether the release passes every gate."""
        return all(verdict.passed for verdict in self.verdicts)


def register(params: Params, release: Path = RELEASE, parent: str | None = None) -> Registration:
    """Register a release under `release.model`, alias `candidate`. The same release keeps its one version.

    Raises UserError if there is no release, if it has no weights, or if MLflow's registry is out of reach.
    """
    from mlflow.exceptions import MlflowException

    if is_recipe(params.removals[params.release.row]):
        raise UserError(
            f"The released row {params.release.row} is a recipe of sampling, and the registry holds weights. To fix "
            "this: hand out the folder `release/`, or release a row with weights (release.row in params.yaml)."
        )
    verdicts = tuple(check_gates(read_evaluation(EVALUATION), params.release.row, params.release.gates))
    digest = release_digest(release)
    require_whole(release)
    tags = _lineage(params, digest) | _gate_tags(verdicts)
    try:
        client = registry_client(params)
        name = params.release.model
        _ensure_model(client, name)
        existing = _find_version(client, name, digest)
        if existing is None:
            run_id, model, stored = _log_release(client, params, release, parent)
            tags |= stored | {"hfi.parent": _champion_of(client, name)}
            description = _describe(params, verdicts)
            # By the files' address: the store would look up a `models:/` address at MLflow's global address.
            created = client.create_model_version(
                name, model.artifact_location, run_id, tags=tags, description=description, model_id=model.model_id
            )
            version = created.version
        else:
            version = existing.version
            _update_gates(client, existing, verdicts)
        client.set_registered_model_alias(name, CANDIDATE, version)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"The release could not be registered at {params.tracking.mlflow}: {describe_failure(error)} "
            "Then run `hfi register`."
        ) from error
    write_json(_REGISTERED, {"state": _state(params), "model": name, "version": str(version)})
    return Registration(name, str(version), existing is None, verdicts)


def is_registered(params: Params) -> bool:
    """Return whether this workspace was registered as it is now. This does not need MLflow, where it may be gone."""
    return _REGISTERED.exists() and json.loads(_REGISTERED.read_text(encoding="utf-8"))["state"] == _state(params)


def registered_version() -> tuple[str, str]:
    """Return the model and the version that this workspace registered last."""
    content = json.loads(_REGISTERED.read_text(encoding="utf-8"))
    return content["model"], content["version"]


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
    """Return the version that the new one is compared with."""
    return str(client.get_registered_model(name).aliases.get(CHAMPION, "none"))


def _describe(params: Params, verdicts: tuple[GateResult, ...]) -> str:
    """Return the description of a version."""
    kind = "simulated" if params.feedback.simulated else "people's"
    concepts = ", ".join(f"{name} ({spec.text!r})" for name, spec in params.concepts.items())
    base = public_name(params.model)
    lines = [
        f"Concepts {concepts} removed from `{base}` by row `{params.release.row}`, on {kind} feedback.",
        "",
        *_verdict_lines(verdicts),
        "",
        f"To promote it, move the alias `{CHAMPION}` here; tag `approved_by` says who, `override` why in spite of a "
        "failed gate. Card: `artifacts/release/README.md` of the model, its picture beside it.",
    ]
    return "\n".join(lines)


def _verdict_lines(verdicts: tuple[GateResult, ...]) -> list[str]:
    return [f"- `{verdict.metric}` {verdict}" for verdict in verdicts]


def _gate_tags(verdicts: tuple[GateResult, ...]) -> dict[str, str]:
    passed = "pass" if all(verdict.passed for verdict in verdicts) else "fail"
    return {"gates": passed} | {f"gate.{metric_name(verdict.metric)}": str(verdict) for verdict in verdicts}


def _ensure_model(client, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Safeguarded by Human Feedback Inversion; see the tags.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _find_version(client, name: str, digest: str):
    versions = client.search_model_versions(f"name = '{name}' and tag.`hfi.release` = '{digest}'")
    return versions[0] if versions else None


def _update_gates(client, version: Any, verdicts: tuple[GateResult, ...]) -> None:
    """Update tags and description: gates may have changed since registration. What people added stays."""
    identity, tags, wanted = (version.name, version.version), version.tags, _gate_tags(verdicts)
    for key in tags:
        if key.startswith("gate.") and key not in wanted:
            client.delete_model_version_tag(*identity, key)
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_model_version_tag(*identity, key, value)
    lines = (version.description or "").splitlines()
    old = [number for number, line in enumerate(lines) if _VERDICT.match(line)]
    start = old[0] if old else min(_LINES_BEFORE_VERDICTS, len(lines))
    rest = [line for line in lines[start:] if not _VERDICT.match(line)]
    if (updated := [*lines[:start], *_verdict_lines(verdicts), *rest]) != lines:
        client.update_model_version(*identity, "\n".join(updated))


def _lora_tags(release: Path, address: str) -> dict[str, str]:
    """Return where the LoRA is, its rank, and how far it is from the release."""
    accuracy = json.loads((release / LORA_ACCURACY).read_text(encoding="utf-8"))
    pictures, flagged = accuracy["pictures"], accuracy["flagged"]
    return {
        "hfi.lora": address,
        "hfi.lora.rank": str(accuracy["rank"]),
        "hfi.lora.weights": f"lacks {accuracy['weights']['relative_frobenius']:.3f} of the change (Frobenius norm)",
        "hfi.lora.pictures": f"differ by {pictures['mean_absolute_difference']:.2f} of 255 (n {pictures['n']}; "
        f"base and release by {pictures['base_and_release']:.2f})",
        "hfi.lora.flagged": f"{flagged['value']:.3f} of these pictures, the release {flagged['release']:.3f}",
    }


def _log_release(client: Any, params: Params, release: Path, parent: str | None) -> tuple[str, Any, dict[str, str]]:
    """Store the release and its figures in a run of its own; return the run, the pipeline's model, and further tags."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    from flows.releases import evaluation_record

    parent_tag = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
    run_id = client.create_run(
        get_or_create_experiment(client, params.tracking), tags=parent_tag, run_name="register"
    ).info.run_id
    status = "FAILED"
    tags: dict[str, str] = {}
    try:
        if (release / LORA_WEIGHTS).exists():
            lora = log_model(client, run_id, "lora", partial(save_adapter, params, release))
            tags |= _lora_tags(release, lora.model_uri)
        model = log_model(client, run_id, "model", partial(save_pipeline, params, release))
        with evaluation_record.gather_record(params, EVALUATION) as (folder, evaluation_digest):
            client.log_artifacts(run_id, str(folder), evaluation_record.FOLDER)
        with pointers.collect_pointers(units_of(params)) as (folder, pointers_digest):
            client.log_artifacts(run_id, str(folder), pointers.FOLDER)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id, model, tags | {evaluation_record.TAG: evaluation_digest, pointers.TAG: pointers_digest}
