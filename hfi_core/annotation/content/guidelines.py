"""Guidelines and reference pictures beside the question, from files that params name."""

from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from hfi_core.errors import UserError
from hfi_core.params import Params

_MOST_BYTES = 256 * 1024
PICTURE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}

# HTML stays text; pictures would be fetched from wherever the text says, so they stay text as well.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def check_files(params: Params, folder: Path) -> None:
    """Raise UserError that names the first guidelines or gallery which is not there."""
    for concept, path in params.annotation.guidelines.items():
        if not (folder / path).is_file():
            raise UserError(f"{folder / path} is missing; annotation.guidelines.{concept} in params.yaml names it.")
    for concept, path in params.annotation.gallery.items():
        if not (folder / path).is_dir():
            raise UserError(f"{folder / path} is no folder; annotation.gallery.{concept} in params.yaml names it.")
        if not reference_pictures(folder / path):
            raise UserError(f"{folder / path} holds no picture ({', '.join(sorted(PICTURE_TYPES))}).")


def guidelines_of(path: Path) -> Markup:
    """Markdown as HTML, read anew each time: guidelines are refined while people judge."""
    with path.open("rb") as stream:
        return render_markdown(stream.read(_MOST_BYTES).decode("utf-8", errors="replace"))


def render_markdown(text: str) -> Markup:
    """Markdown as HTML that holds no tag of the author's."""
    return Markup(_MARKDOWN.render(text))


def reference_pictures(folder: Path) -> list[Path]:
    """The pictures of a reference gallery in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_TYPES and path.is_file())
