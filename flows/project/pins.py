"""Writes the digests of model, CLIP and judges into `params.yaml`, and leaves every other byte as it is."""

from pathlib import Path

from hfi_core.io.atomic import atomic_file
from hfi_core.models.weights import digest_of, locate
from hfi_core.params import EMBEDDED, load_params, parse_params


def pin_digests(path: Path) -> list[tuple[str, str, str]]:
    """Pin what the sources hold now; (key, digest before, digest now) of each.

    Raises UserError, with nothing written, if the params are not valid, before or after, or a source is out of reach.
    """
    from ruamel.yaml import YAML

    params = load_params(path)
    judge = params.evaluate.judge
    sources = {
        "model": (params.model.digest, locate(params.model.source, params.model.revision, "model")),
        "clip": (params.clip.digest, locate(params.clip.source, params.clip.revision, "clip")),
        "evaluate.judge": (judge.digest, locate(judge.source, judge.revision, "judge")),
    }
    for name, crowd in params.feedback.simulated.items():
        sources[f"feedback.simulated.{name}"] = (crowd.digest, locate(EMBEDDED, None, "annotators"))
    text = path.read_text(encoding="utf-8")
    tree = YAML().load(text)
    lines = text.splitlines(keepends=True)
    changes = []
    for key, (before, folder) in sources.items():
        digest = digest_of(folder)
        place = tree
        for step in key.split("."):
            place = place[step]
        row, column = place.lc.value("digest")
        lines[row] = lines[row][:column] + lines[row][column:].replace(before, digest, 1)
        changes.append((f"{key}.digest", before, digest))
    text = "".join(lines)
    parse_params(YAML(typ="safe").load(text), f"With its digests {path}")
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return changes
