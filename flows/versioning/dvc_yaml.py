"""Generate `dvc.yaml` from the declared stages, so that `dvc repro` and `hfi run` use the same graph."""

from typing import Any

import yaml

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Params, is_learned
from hfi_core.pipeline import graph as declaration
from hfi_core.pipeline.layout import DVC_YAML
from hfi_core.pipeline.stage import Stage

_HEADER = "# Written by `hfi params sync`; edits are lost.\n"


def render(params: Params) -> str:
    """Return the text of `dvc.yaml`.

    Stages are templates over params. Only the training plots name removals and concepts, and a stage that draws suites
    depends on the files of prompts that the params name.
    """
    content = {"stages": _stages(params), "plots": _plots(params)}
    return _HEADER + yaml.safe_dump(content, sort_keys=False, default_flow_style=False, width=1000)


def write(params: Params) -> bool:
    """Write `dvc.yaml` if its text differs; return whether it did."""
    text = render(params)
    if DVC_YAML.exists() and DVC_YAML.read_text(encoding="utf-8") == text:
        return False
    with atomic_file(DVC_YAML) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def require_current(params: Params) -> None:
    """Raise UserError if `dvc.yaml` lacks a stage or a plot that this version generates from the params.

    The project may have further stages and plots of its own.
    """
    if not DVC_YAML.exists():
        raise UserError("dvc.yaml is missing: run `hfi params sync`.")
    content = read_yaml(DVC_YAML)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise UserError("dvc.yaml has no stages: run `hfi params sync`.")
    changed = [name for name, stage in _stages(params).items() if stages.get(name) != stage]
    if changed:
        raise UserError(
            f"dvc.yaml is of another version, or of other files of prompts (differs in {', '.join(changed)}): run "
            "`hfi params sync`."
        )
    plots = content.get("plots")
    if any(plot not in (plots if isinstance(plots, list) else []) for plot in _plots(params)):
        raise UserError(
            "The plots in dvc.yaml are of other concepts or removals than those in params.yaml: run `hfi params sync`."
        )


def _stages(params: Params) -> dict[str, Any]:
    return {stage.name: _stage(stage, params) for stage in declaration.stages_of(params)}


def _stage(stage: Stage, params: Params) -> dict[str, Any]:
    unit = " --unit ${key}" if stage.over else ""
    row: dict[str, Any] = {
        "cmd": f"hfi stage {stage.name}{unit} --revision {stage.revision}",
        "params": [_template(key) for key in stage.params],
    }
    prompt_files = [f"${{{key}}}" for key in declaration.prompt_files(stage, params)]
    if stage.inputs or prompt_files:
        row["deps"] = [*map(_template, stage.inputs.values()), *prompt_files]
    for kind, names in (
        ("outs", [name for name in stage.outputs if name not in stage.metrics]),
        ("metrics", list(stage.metrics)),
    ):
        if names:
            row[kind] = [{_template(stage.outputs[name]): {"persist": True}} for name in names]
    # persist: else DVC deletes the earlier outputs before a run, and a failed run leaves none.
    return {"foreach": f"${{{stage.over}}}", "do": row} if stage.over else row


def _template(path: str) -> str:
    return (
        path.replace("{unit}", "${key}")
        .replace("{item}", "${item}")
        .replace("{feedback.file}", "${feedback.file}")
        .replace("{release.row}", "${release.row}")
        .replace("{evaluate.people.file}", "${evaluate.people.file}")
    )


def _plots(params: Params) -> list[Any]:
    tokens = {f"tokens/{concept}/steps.csv": ["objectionable", "accepted"] for concept in params.concepts}
    rows = [row for row, removal in params.removals.items() if is_learned(removal)]
    losses = {f"models/{row}/steps.csv": "loss" for row in rows}
    return [
        "reports/plots",
        *(
            {name: {"x": "step", "y": curves}}
            for name, curves in (("inversion", tokens), ("removal", losses))
            if curves
        ),
    ]
