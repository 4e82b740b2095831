"""What a registration keeps of a state: its settings, without passwords, and DVC's pointer files."""

from flows.versioning.pointers import collect_pointers
from hfi_core.pipeline.graph import units_of


def test_all_files_of_settings_are_kept_without_passwords(inside):
    (inside.folder / "prompts.txt").write_text("a cup\n")
    inside.edit(
        evaluate__suites__unrelated={"file": "prompts.txt", "pictures": 1},
        tracking__mlflow="http://ana:s3cr3t-word@mlflow.example.org",
    )
    with collect_pointers(units_of(inside.params)) as (folder, _):
        texts = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(texts) == {"params.yaml", "operations.yaml", "prompts.txt"}
    assert texts["prompts.txt"] == "a cup\n"
    assert "ana:***@" in texts["operations.yaml"] and "s3cr3t-word" not in "".join(texts.values())
