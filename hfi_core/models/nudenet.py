"""The weights that the optional package NudeNet carries, known by one digest of its version and its file."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file, sha256_of_json

_WEIGHTS = "nudenet/320n.onnx"


def find_detector(digest: str) -> Path:
    """Return the path of the installed package's weights.

    Raises UserError if the package is missing, or if version or weights are not those of the digest.
    """
    actual = digest_of_detector()
    if actual != digest:
        raise UserError(
            f"The detector of NudeNet {_find_package().version} is not the one that params.yaml pins in "
            f"evaluate.judge.digest:\n  pinned {digest}\n  found  {actual}\n"
            "To accept version and weights that were found, run `hfi params pin`."
        )
    return _locate_weights(_find_package())


def digest_of_detector() -> str:
    """Return the `sha256:` digest of the installed package's version and weights. Figures depend on both.

    Raises UserError if the package is missing.
    """
    package = _find_package()
    weights = _locate_weights(package)
    return "sha256:" + sha256_of_json([["version", package.version], [_WEIGHTS, sha256_of_file(weights)]])


def _find_package() -> Distribution:
    try:
        return distribution("nudenet")
    except PackageNotFoundError as error:
        raise UserError(
            "evaluate.judge.kind is nudenet, and the package is not installed. To fix this: "
            "`pip install 'hfi-pipeline[nudenet]'`. Its licence file says AGPL-3.0."
        ) from error


def _locate_weights(package: Distribution) -> Path:
    path = Path(str(package.locate_file(_WEIGHTS)))
    if not path.is_file():
        raise UserError(f"NudeNet {package.version} has no {_WEIGHTS}. To fix this: install it again.")
    return path
