"""Find the weights that params name (embedded, a local folder, or a hub id), and check their pinned digest."""

import difflib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hfi_core.errors import UserError, listed
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.models.diffusion.folder import (
    INDEX,
    MODEL_SUFFIXES,
    SHARDS,
    VARIANT_PATTERN,
    describe_other_weights,
    hub_patterns,
    is_model_file,
    is_variant,
    model_files,
    read_index,
    require_files,
    require_tokenizer,
    require_weights,
    shards,
    tensor_sizes,
)
from hfi_core.models.diffusion.supported import require_supported
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
_KEYS: dict[str, str] = {
    "model": "model",
    "clip": "clip",
    "judge": "evaluate.judge",
    "annotators": "feedback.simulated.*",
}
"""Where params name the source of each."""


def locate_weights(source: str | None, revision: str | None, part: WeightsFolder) -> Path:
    """Return the local folder of a source; `~` is the home folder.

    Raises UserError if the folder is missing, or if a hub id is not in the local hub cache and cannot be downloaded.
    """
    if source is None or source == EMBEDDED:
        return Path(str(files("hfi_core.embedded"))) / "weights" / _EMBEDDED_FOLDERS[part]
    folder, key = expand_user(source), _KEYS[part]
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"{key}.source {source!r} is a file; name the folder of the weights.")
    if not _HUB_ID.fullmatch(source):
        raise UserError(f"{key}.source {source!r} is not a local folder{_nearest(folder)}, and not a hub id.")
    if revision is None:
        owner_exists = folder.parent.is_dir()
        raise UserError(
            f"{key}.source {source!r} is not a local folder{_nearest(folder)}."
            + ("" if owner_exists else f" If it is a hub id, {key}.revision is missing.")
            + f"\n  To fix this: correct the path{_HUB_FIX.format(key=key)}"
        )
    return _from_hub(source, revision, part)


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FIX = ", or for a hub id set {key}.revision to the commit of the hub repository (40 digits)."


def expand_user(source: str) -> Path:
    """Return a path in which `~` is the home folder; a `~name` of an unknown user stays as it is."""
    try:
        return Path(source).expanduser()
    except RuntimeError:  # the user is unknown
        return Path(source)


def _nearest(folder: Path) -> str:
    """Return the existing folder with the most similar name, as a question."""
    if not folder.parent.is_dir():
        return f": there is no folder {str(folder.parent)!r}" if folder.is_absolute() else ""
    names = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    near = difflib.get_close_matches(folder.name, sorted(names), n=1)
    return f" (did you mean {str(folder.with_name(near[0]))!r}?)" if near else ""


def is_hub_id(source: str | None, revision: str | None) -> bool:
    """Return whether a source names a commit of a hub repository, and not a folder of this machine."""
    if not source or not revision or not _HUB_ID.fullmatch(source):
        return False
    return not Path(source).exists()


def find_cached(source: str | None, revision: str | None) -> Path | None:
    """Return the folder of a hub id's commit in the local hub cache, or None. It may be incomplete.

    Makes no request. The hub's client would ask for a list of files, and without a network it tries for 20 seconds.
    """
    if not source or not is_hub_id(source, revision):
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # the hub's own "not in the cache" is one of these
        return None


def _from_hub(source: str, revision: str, part: WeightsFolder) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    key = _KEYS[part]
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
            f"{key}.source {source!r} at {revision} has no {INDEX}, so it is not a diffusers repository."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        what = "commit" if isinstance(error, RevisionNotFoundError) else "repository (or none that you may read)"
        raise UserError(
            f"{key}.source {source!r} at {revision}: the hub has no such {what}, and there is no local folder of this "
            f"name{_nearest(expand_user(source))}.\n  To fix this: correct {key}.source and {key}.revision."
        ) from error
    except Exception as error:  # the hub client raises errors of its own, of requests and of the system
        raise UserError(
            f"{key}.source {source!r} at {revision} is neither a local folder{_nearest(expand_user(source))}, nor in "
            f"the local hub cache, nor reachable ({type(error).__name__}). Without a network: copy the folder here, "
            f"and name its path in {key}.source."
        ) from error


def require_usable(folder: Path, part: WeightsFolder) -> None:
    """Raise UserError, which names the file and what to do, if a folder is not one that `part` can be loaded from."""
    if part == "model":
        require_supported(folder)
    elif part == "clip":
        _require_clip(folder)
    else:
        for name in _model_suffixed_files(folder):
            if name.endswith(".safetensors"):
                require_files([folder / name])
                tensor_sizes(folder / name)


def _require_clip(folder: Path) -> None:
    require_files([folder / "config.json"])
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if kind != "clip":
        raise UserError(
            f"{folder / 'config.json'} describes a model of the type {kind!r}; only transformers' CLIPModel is "
            "supported.\n  To fix this: name the folder of a CLIP model (model_type clip) in clip.source."
        )
    require_weights(folder)
    require_tokenizer(folder)
    processors = [folder / "preprocessor_config.json", folder / "processor_config.json"]
    require_files([path for path in processors if is_model_file(path)] or processors[:1])


def digest_of_weights(folder: Path) -> str:
    """Return the `sha256:` digest of a folder's weights and configuration.

    For a diffusers folder it covers the files that are loaded; for other folders, all safetensors, JSON and text files
    that are not hidden.

    Raises UserError if one of these files is lost or a pointer of Git LFS, if none of them holds weights, or if an
    index names a file that is missing.
    """
    names = model_files(folder) if (folder / INDEX).is_file() else _model_suffixed_files(folder)
    if not any(name.endswith(".safetensors") and not is_variant(name) for name in names):
        raise UserError(
            f"{folder} has no safetensors that are read, so it is not the folder of a model."
            f"{describe_other_weights(folder)}"
        )
    require_files(folder / name for name in names)
    for name in names:
        if name.endswith(SHARDS):
            shards(folder / name)
    return "sha256:" + sha256_of_json([[name, sha256_of_file(folder / name)] for name in names])


def _model_suffixed_files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if is_model_file(path))
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def locate_pinned(source: str | None, revision: str | None, digest: str, part: WeightsFolder) -> Path:
    """Return the local folder of a source whose content has the digest that params pin.

    Makes no request if the local hub cache has this content.

    Raises UserError if the digest is different, or as `locate_weights` and `require_usable` do.
    """
    cached = find_cached(source, revision)
    if cached is not None and _has_digest(cached, digest):
        require_usable(cached, part)
        return cached
    folder = locate_weights(source, revision, part)
    require_usable(folder, part)
    actual = digest_of_weights(folder)
    if actual != digest:
        raise UserError(
            f"The weights of `{_KEYS[part]}` in {folder} are not the ones that params.yaml pins:\n"
            f"  pinned {digest}\n  found  {actual}\nTo accept the weights that were found, run `hfi params pin`."
        )
    return folder


def _has_digest(folder: Path, digest: str) -> bool:
    try:
        return digest_of_weights(folder) == digest
    except UserError:  # it is incomplete
        return False
