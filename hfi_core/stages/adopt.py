"""Stage 1 for pictures that exist already: an imported folder becomes the candidates of a concept."""

import shutil

from hfi_core.candidates.manifest import MANIFEST, read_manifest, read_pictures
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.json_files import write_jsonl
from hfi_core.pipeline.stage import StageContext

_AT_ONCE = 256


def run(context: StageContext) -> dict[str, float]:
    """Copy the manifest and its pictures, and check each picture against its digest. Other files are not copied."""
    source = context.inputs["imported"]
    rows = read_manifest(source)
    with atomic_folder(context.outputs["candidates"]) as folder:
        (folder / "pictures").mkdir()
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            read_pictures(source, part)
            for row in part:
                shutil.copyfile(source / row.file, folder / row.file)
            context.progress(start + len(part), len(rows), "pictures")
        write_jsonl(folder / MANIFEST, [row.model_dump(mode="json") for row in rows])
    return {"candidates": len(rows)}
