"""`dvc.yaml`, generated from the declaration of the stages, so that both doors know one graph."""

from typing import Any

import yaml

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Params
from hfi_core.pipeline import graph as declaration
from hfi_core.pipeline.layout import DVC_YAML
from hfi_core.pipeline.stage import Stage

_HEADER = "# Written by `hfi params sync`; edits are lost.\n"


def render(params: Params) -> str:
    """The text of `dvc.yaml`. Stages are templates over params; only the plots of training name rows and concepts."""
    content = {"stages": _stages(), "plots": _plots(params)}
    return _HEADER + yaml.safe_dump(content, sort_keys=False, default_flow_style=False, width=1000)


def write(params: Params) -> bool:
    """Write `dvc.yaml` where it differs; whether it did."""
    text = render(params)
    if DVC_YAML.exists() and DVC_YAML.read_text(encoding="utf-8") == text:
        return False
    with atomic_file(DVC_YAML) as beside:
        beside.write_text(text, encoding="utf-8")
    return True


def require_current(params: Params) -> None:
    """Raise UserError if stages or plots in `dvc.yaml` are not the ones that this version makes of the params.

    Further stages and plots of the project's own are left alone.
    """
    if not DVC_YAML.exists():
        raise UserError("dvc.yaml is missing: run `hfi params sync`.")
    content = read_yaml(DVC_YAML)
    found = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise UserError("dvc.yaml has no stages: run `hfi params sync`.")
    other = [name for name, stage in _stages().items() if found.get(name) != stage]
    if other:
        raise UserError(f"dvc.yaml is not of this version (differs in {', '.join(other)}): run `hfi params sync`.")
    drawn = content.get("plots")
    if any(plot not in (drawn if isinstance(drawn, list) else []) for plot in _plots(params)):
        raise UserError(
            "The plots in dvc.yaml are of other concepts or removals than params.yaml: run `hfi params sync`."
        )


def _stages() -> dict[str, Any]:
    return {stage.name: _stage(stage) for stage in declaration.STAGES}


def _stage(stage: Stage) -> dict[str, Any]:
    unit = " --unit ${key}" if stage.over else ""
    row: dict[str, Any] = {
        "cmd": f"hfi stage {stage.name}{unit} --revision {stage.revision}",
        "params": [_template(key) for key in stage.params],
    }
    if stage.inputs:
        row["deps"] = [_template(path) for path in stage.inputs.values()]
    for kind, names in (
        ("outs", [name for name in stage.outputs if name not in stage.metrics]),
        ("metrics", list(stage.metrics)),
    ):
        if names:
            row[kind] = [{_template(stage.outputs[name]): {"persist": True}} for name in names]
    # persist: DVC would delete the earlier outputs before the run; so a failed run leaves them in place.
    return {"foreach": f"${{{stage.over}}}", "do": row} if stage.over else row


def _template(path: str) -> str:
    return (
        path.replace("{unit}", "${key}")
        .replace("{item}", "${item}")
        .replace("{feedback.file}", "${feedback.file}")
        .replace("{release.row}", "${release.row}")
    )


def _plots(params: Params) -> list[Any]:
    tokens = {f"tokens/{concept}/steps.csv": ["objectionable", "accepted"] for concept in params.concepts}
    rows = [row for row, removal in params.removals.items() if removal.method != "none"]
    losses = {f"models/{row}/steps.csv": "loss" for row in rows}
    return [
        "reports/plots",
        *(
            {name: {"x": "step", "y": curves}}
            for name, curves in (("inversion", tokens), ("removal", losses))
            if curves
        ),
    ]
