"""Find the project whose copy DVC runs an experiment in.

`dvc exp run --queue` and `--temp` work in a copy of the project below `.dvc/tmp/exps/`, which DVC removes after the
run. What is recorded there would be lost.
"""

from pathlib import Path

_EXPERIMENTS = (".dvc", "tmp", "exps")


def find_project_folder() -> Path:
    """Return the folder of the project; in DVC's temporary copy of one, the folder that was copied."""
    here = Path.cwd()
    copied_from = next((parent for parent in here.parents if here.parts[len(parent.parts) :][:3] == _EXPERIMENTS), None)
    if copied_from is None:
        return here
    copy = next(folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir())
    return copied_from / here.relative_to(copy)
