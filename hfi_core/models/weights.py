"""Find the weights that params name (embedded, a local folder, or a hub id), and check their pinned digest."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hfi_core.errors import UserError, listed
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.models.diffusion.folder import (
    INDEX,
    MODEL_SUFFIXES,
    VARIANT_PATTERN,
    hub_patterns,
    model_files,
    read_index,
)
from hfi_core.params import EMBEDDED

_MAX_NAMES = 3


def require_all_tensors(folder: Path, report: Mapping[str, Any], kind: str) -> None:
    """Check the report of `from_pretrained(..., output_loading_info=True)`.

    Raises UserError, which names the missing tensors, if there are any.
    """
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{folder} lacks weights of a {kind}: {listed(missing, _MAX_NAMES)}. The library would use random ones.\n"
            "  To fix this: download the folder again, or name a folder that has the whole model."
        )


WeightsFolder = Literal["model", "clip", "judge", "annotators"]

_EMBEDDED_FOLDERS: dict[str, str] = {
    "model": "pipeline",
    "clip": "clip",
    "judge": "judges/evaluation",
    "annotators": "judges/annotators",
}


def locate_weights(source: str | None, revision: str | None, part: WeightsFolder) -> Path:
    """Return the local folder of a source.

    Raises UserError if the folder is missing, or if a hub id is not in the local hub cache and cannot be downloaded.
    """
    if source is None or source == EMBEDDED:
        return Path(str(files("hfi_core.embedded"))) / "weights" / _EMBEDDED_FOLDERS[part]
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"{part}.source {source!r} is a file; name the folder of the weights.")
    if folder.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise UserError(f"{part}.source {source!r} is not a local folder, and not a hub id (`owner/name`).")
    return _from_hub(source, revision, part)


def _from_hub(source: str, revision: str | None, part: WeightsFolder) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if revision is None:
        raise UserError(f"{part}.revision is missing. To fix this: set it to the commit of the hub repository.")
    try:
        patterns, ignored = [f"*{kind}" for kind in MODEL_SUFFIXES], []
        if part == "model":
            index = Path(hf_hub_download(source, INDEX, revision=revision))
            patterns, ignored = hub_patterns(read_index(index.parent)), [VARIANT_PATTERN]
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns, ignore_patterns=ignored))
    except UserError:
        raise
    except RemoteEntryNotFoundError as error:
        raise UserError(
            f"{part}.source {source!r} at {revision} has no {INDEX}, so it is not a diffusers repository."
        ) from error
    except Exception as error:  # the hub client raises errors of its own, of requests and of the system
        raise UserError(
            f"{part}.source {source!r} at {revision} is neither in the local hub cache nor reachable "
            f"({type(error).__name__}). Without a network: copy the folder here, and name its path in {part}.source."
        ) from error


def digest_of_weights(folder: Path) -> str:
    """Return the `sha256:` digest of a folder's weights and configuration.

    For a diffusers folder it covers the files that are loaded; for other folders, all safetensors, JSON and text files
    that are not hidden.
    """
    names = model_files(folder) if (folder / INDEX).is_file() else _model_suffixed_files(folder)
    if not names:
        raise UserError(f"{folder} has no safetensors and no configuration, so it is not the folder of a model.")
    return "sha256:" + sha256_of_json([[name, sha256_of_file(folder / name)] for name in names])


def _model_suffixed_files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix in MODEL_SUFFIXES)
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def locate_pinned(source: str | None, revision: str | None, digest: str, part: WeightsFolder) -> Path:
    """Return the local folder of a source whose content has the digest that params pin.

    Raises UserError if the digest is different, or as `locate_weights` does.
    """
    folder = locate_weights(source, revision, part)
    actual = digest_of_weights(folder)
    if actual != digest:
        raise UserError(
            f"The weights of `{part}` in {folder} are not the ones that params.yaml pins:\n"
            f"  pinned {digest}\n  found  {actual}\nTo accept the weights that were found, run `hfi params pin`."
        )
    return folder
