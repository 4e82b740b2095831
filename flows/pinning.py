"""Writes the digests of model, CLIP and judge into `params.yaml`, and leaves every other byte as it is."""

from pathlib import Path

from hfi_core.files import whole_file
from hfi_core.params import read_params
from hfi_core.sources import digest_of, locate


def pin_digests(path: Path) -> list[tuple[str, str, str]]:
    """Pin what the sources hold now; (key, digest before, digest now) of each.

    Raises UserError if the params are not valid or a source is out of reach.
    """
    from ruamel.yaml import YAML

    params = read_params(path)
    judge = params.evaluate.judge
    sources = {
        "model": (params.model, "model"),
        "clip": (params.clip, "clip"),
        "evaluate.judge": (judge, "judge"),
    }
    text = path.read_text(encoding="utf-8")
    tree = YAML().load(text)
    lines = text.splitlines(keepends=True)
    changes = []
    for key, (source, part) in sources.items():
        digest = digest_of(locate(source.source, source.revision, part))
        place = tree
        for step in key.split("."):
            place = place[step]
        row, column = place.lc.value("digest")
        lines[row] = lines[row][:column] + lines[row][column:].replace(source.digest, digest, 1)
        changes.append((f"{key}.digest", source.digest, digest))
    with whole_file(path) as beside:
        beside.write_text("".join(lines), encoding="utf-8")
    return changes
