"""Where weights lie: a word for the embedded ones, a local folder, or a hub id; checked against its pinned digest."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hfi_core.errors import UserError, listed
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.models.diffusion.folder import INDEX, KINDS, VARIANT, hub_patterns, model_files, read_index
from hfi_core.params import EMBEDDED

_NAMED = 3


def require_all_tensors(folder: Path, report: Mapping[str, Any], kind: str) -> None:
    """Look through the report of `from_pretrained(..., output_loading_info=True)`.

    Raises UserError, which names tensors, if some are missing.
    """
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{folder} lacks weights of a {kind}: {listed(missing, _NAMED)}. Random ones would take their "
            "place: fetch the folder again, or name one that holds the whole model."
        )


WeightsFolder = Literal["model", "clip", "judge", "annotators"]

_EMBEDDED_FOLDERS: dict[str, str] = {
    "model": "pipeline",
    "clip": "clip",
    "judge": "judges/evaluation",
    "annotators": "judges/annotators",
}


def locate(source: str | None, revision: str | None, part: WeightsFolder) -> Path:
    """The local folder of a source.

    Raises UserError if a folder is missing, or a hub id is not in the local hub cache and cannot be fetched.
    """
    if source is None or source == EMBEDDED:
        return Path(str(files("hfi_core.embedded"))) / "weights" / _EMBEDDED_FOLDERS[part]
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"{part}.source {source!r} is a file; name the folder that holds the weights.")
    if folder.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise UserError(f"{part}.source {source!r} is no folder here, and no hub id (`owner/name`).")
    return _from_hub(source, revision, part)


def _from_hub(source: str, revision: str | None, part: WeightsFolder) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if revision is None:
        raise UserError(f"{part}.revision is missing: a hub id needs the commit to be reproducible.")
    try:
        patterns, ignored = [f"*{kind}" for kind in KINDS], []
        if part == "model":
            index = Path(hf_hub_download(source, INDEX, revision=revision))
            patterns, ignored = hub_patterns(read_index(index.parent)), [VARIANT]
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns, ignore_patterns=ignored))
    except UserError:
        raise
    except RemoteEntryNotFoundError as error:
        raise UserError(
            f"{part}.source {source!r} at {revision} holds no {INDEX}: it is no diffusers repository."
        ) from error
    except Exception as error:  # the hub client raises its own, requests' and OS errors
        raise UserError(
            f"{part}.source {source!r} at {revision} is neither in the local hub cache nor reachable "
            f"({type(error).__name__}). Offline: put the folder on this machine and name its path in {part}.source."
        ) from error


def digest_of(folder: Path) -> str:
    """`sha256:` digest of a folder's weights and configuration.

    Of a diffusers folder that is what is loaded; of another, its safetensors, JSON and text that are not hidden.
    """
    names = model_files(folder) if (folder / INDEX).is_file() else _kept(folder)
    if not names:
        raise UserError(f"{folder} holds no safetensors and no configuration: it is no model folder.")
    return "sha256:" + sha256_of_json([[name, sha256_of_file(folder / name)] for name in names])


def _kept(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix in KINDS)
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def checked(source: str | None, revision: str | None, digest: str, part: WeightsFolder) -> Path:
    """The local folder of a source whose content is what params pin.

    Raises UserError if the content is another.
    """
    folder = locate(source, revision, part)
    found = digest_of(folder)
    if found != digest:
        raise UserError(
            f"The weights of `{part}` in {folder} are not the ones that params.yaml pins:\n"
            f"  pinned {digest}\n  found  {found}\nIf the change is meant, run `hfi params pin`."
        )
    return folder
