"""Read the guidelines and reference pictures that are shown beside a question."""

from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from hfi_core.errors import UserError
from hfi_core.params import Annotation

_MAX_BYTES = 256 * 1024
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}

# HTML stays text. Pictures stay text as well: the browser would load them from any server that the text names.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def check_guideline_files(annotation: Annotation, folder: Path) -> None:
    """Raise UserError if guidelines or a gallery that params name are missing."""
    for concept, path in annotation.guidelines.items():
        if not (folder / path).is_file():
            raise UserError(f"{folder / path} is missing; annotation.guidelines.{concept} in operations.yaml names it.")
    for concept, path in annotation.gallery.items():
        if not (folder / path).is_dir():
            raise UserError(
                f"{folder / path} is not a folder; annotation.gallery.{concept} in operations.yaml names it."
            )
        if not list_reference_pictures(folder / path):
            raise UserError(
                f"{folder / path} contains no picture ({', '.join(sorted(MEDIA_TYPES))}); "
                f"annotation.gallery.{concept} in operations.yaml names it."
            )


def read_guidelines(path: Path) -> Markup:
    """Return a Markdown file as HTML. Each call reads the file: guidelines change while people judge."""
    with path.open("rb") as stream:
        return render_markdown(stream.read(_MAX_BYTES).decode("utf-8", errors="replace"))


def render_markdown(text: str) -> Markup:
    """Return Markdown as HTML; HTML tags in the Markdown are escaped."""
    return Markup(_MARKDOWN.render(text))


def list_reference_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a reference gallery in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in MEDIA_TYPES and path.is_file())
