"""`hfi params`: check, describe, upgrade and pin `params.yaml` and `operations.yaml`; write what is made from them."""

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Check, upgrade and pin params.yaml and operations.yaml; write the files made from them."
)


@app.command()
def check() -> None:
    """Validate params.yaml and operations.yaml: list each unknown key, missing key and value out of bounds.

    It also refuses addresses that overlap: inbox, releases, DVC remotes, MLflow's artifacts, outputs of stages.
    """
    from flows.feedback.address_overlaps import require_separate_addresses
    from flows.runtime.console import info
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    require_separate_addresses(params)
    info(f"{PARAMS} is valid: {len(params.concepts)} concept(s), {len(params.removals)} row(s).")


@app.command()
def upgrade(
    write: Annotated[bool, typer.Option("--write", help="Move sections and add missing keys; comments stay.")] = False,
    preset: Annotated[
        str | None, typer.Option(help="Preset with the defaults; else the one that suits model.source.")
    ] = None,
) -> None:
    """List what changed since the settings were written: moved sections, missing keys with defaults, removed keys."""
    from flows.project.prefect_yaml import describe_renamed_entrypoints
    from flows.project.upgrade import add_missing_keys, compare_keys, move_sections
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.params.loading import dotted
    from hfi_core.pipeline.layout import OPERATIONS, PARAMS

    for line in describe_renamed_entrypoints():
        info(line)
    with project_lock():
        changes, name = compare_keys(PARAMS, preset)
        if not changes:
            load_params(PARAMS)
            info(f"{PARAMS} has the keys of this version. Next: `hfi params sync`.")
            return
        for section in changes.moved:
            info(f"{section}: belongs in {OPERATIONS} now")
        for entry in changes.missing:
            info(f"{dotted(entry.key)}: missing; {name} has {entry.default_text}")
        for key in changes.removed:
            info(f"{dotted(key)}: gone, no code reads it any more; remove it")
        if write and changes.moved:
            move_sections(PARAMS, changes.moved)
            info(f"{OPERATIONS}: {len(changes.moved)} section(s) moved from {PARAMS}.")
        if write and changes.missing:
            add_missing_keys(PARAMS, changes.missing)
            info(f"{PARAMS}: {len(changes.missing)} added. Check them: a default may differ from what you had before.")
    info("Next: `hfi params check`, then `hfi params sync`." if write else "Next: `hfi params upgrade --write`.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of params.yaml and operations.yaml: the meaning, unit and bounds of each key."""
    from flows.project.schema import schema_text

    print(schema_text(), end="")


@app.command()
def sync() -> None:
    """Write dvc.yaml and the schemas in docs/ again, as the installed version generates them."""
    from flows.project.schema import write_schemas
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from flows.versioning import dvc_yaml
    from hfi_core.params import load_params
    from hfi_core.pipeline import layout
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    with project_lock():
        for path, changed in {layout.DVC_YAML: dvc_yaml.write(params), **write_schemas()}.items():
            info(f"{path}: {'written' if changed else 'already current'}")


@app.command()
def pin() -> None:
    """Compute the digests of model, CLIP and judge, and write them into params.yaml; comments stay."""
    from flows.project.pins import pin_digests
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.pipeline.layout import PARAMS

    with project_lock():
        for key, old, new in pin_digests(PARAMS):
            info(f"{key}: {new}" + (" (as before)" if old == new else ""))
