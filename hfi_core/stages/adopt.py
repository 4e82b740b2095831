"""Stage 1 for pictures that exist already: imported sets, and what was drawn, become the candidates of a concept."""

import shutil
from pathlib import Path

from hfi_core.candidates.manifest import MANIFEST, join_manifests, read_manifest, read_pictures
from hfi_core.candidates.rounds import read_rounds, write_rounds
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_jsonl
from hfi_core.pipeline.stage import StageContext

_AT_ONCE = 256


def run(context: StageContext) -> dict[str, float]:
    """Copy the manifests and their pictures, and check each picture against its digest. Other files are not copied.

    Raises UserError if a picture is missing or another one, or if two sets have the same picture.
    """
    manifests = {source: read_manifest(source) for source in _list_sources(context)}
    joined, done = join_manifests(manifests), 0
    with atomic_folder(context.outputs["candidates"]) as folder:
        (folder / "pictures").mkdir()
        for source, rows in manifests.items():
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                read_pictures(source, part)
                for row in part:
                    shutil.copyfile(source / row.file, folder / row.file)
                done += len(part)
                context.progress(done, len(joined), "pictures")
        write_jsonl(folder / MANIFEST, [row.model_dump(mode="json") for row in joined])
        write_rounds(folder, [record for source in manifests for record in read_rounds(source)])
    return {"candidates": len(joined)}


def _list_sources(context: StageContext) -> list[Path]:
    """Return the folders whose pictures become the candidates of the concept `unit`: first what was drawn."""
    candidates, inputs, unit = context.params.candidates, context.inputs, context.unit
    if not candidates.are_joined:
        return [inputs["imported"]]
    drawn = [inputs["drawn"] / unit] if unit in candidates.drawn else []
    return drawn + [inputs[path] for path in candidates.sets_of(unit)]
