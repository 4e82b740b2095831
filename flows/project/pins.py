"""Pin the digests of model, CLIP, judges and imported rows in `params.yaml`, without changing any other byte."""

from pathlib import Path

from hfi_core.io.atomic import atomic_file
from hfi_core.models.imported import digest_of_imported, locate_imported, require_fitting
from hfi_core.models.nudenet import digest_of_detector
from hfi_core.models.weights import WeightsFolder, digest_of_weights, locate_weights, require_usable
from hfi_core.params import NUDENET, Imported, load_params, parse_params
from hfi_core.params.loading import read_sections


def pin_digests(path: Path) -> list[tuple[str, str, str]]:
    """Write the present digest of each source into the params; return (key, old digest, new digest) of each.

    Raises UserError, with nothing written, if the params are invalid before or after, if a source cannot be reached, or
    if stages would refuse its weights.
    """
    from ruamel.yaml import YAML

    params = load_params(path)
    judge = params.evaluate.judge
    sources = {
        "model": (params.model.digest, _locate_usable(params.model.source, params.model.revision, "model")),
        "clip": (params.clip.digest, _locate_usable(params.clip.source, params.clip.revision, "clip")),
    }
    if judge.kind != NUDENET:
        sources["evaluate.judge"] = (judge.digest, _locate_usable(judge.source, judge.revision, "judge"))
    for name, crowd in params.feedback.simulated.items():
        sources[f"feedback.simulated.{name}"] = (
            crowd.digest,
            _locate_usable(crowd.source, crowd.revision, "annotators"),
        )
    imported = {
        f"removals.{row}": (spec.digest, _locate_fitting(row, spec, sources["model"][1]))
        for row, spec in params.removals.items()
        if isinstance(spec, Imported)
    }
    digests = {
        key: (old, digest_of_imported(source) if key in imported else digest_of_weights(source))
        for key, (old, source) in (sources | imported).items()
    }
    if judge.kind == NUDENET:
        digests["evaluate.judge"] = (judge.digest, digest_of_detector())
    text = path.read_text(encoding="utf-8")
    tree = YAML().load(text)
    lines = text.splitlines(keepends=True)
    changes = []
    for key, (old, new) in digests.items():
        section = tree
        for part in key.split("."):
            section = section[part]
        line, column = section.lc.value("digest")
        lines[line] = lines[line][:column] + lines[line][column:].replace(old, new, 1)
        changes.append((f"{key}.digest", old, new))
    text = "".join(lines)
    _, operations = read_sections(path)
    parse_params(YAML(typ="safe").load(text) | operations, f"{path} with the new digests", path.parent)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return changes


def _locate_fitting(row: str, spec: Imported, base: Path) -> Path:
    require_fitting(row, spec, base)
    return locate_imported(row, spec)


def _locate_usable(source: str | None, revision: str | None, part: WeightsFolder) -> Path:
    folder = locate_weights(source, revision, part)
    require_usable(folder, part)
    return folder
