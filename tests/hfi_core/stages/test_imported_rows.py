"""An imported row is drawn, attacked, judged and released like a row that was learned here."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hfi_core.erasure.removal import erase
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import WEIGHTS, load_model, load_safeguarded_model
from tests.support.imported import imported_row
from tests.support.loop import bytes_below, run_through, run_units
from tests.support.projects import Project, write_project

EMBEDDINGS = "text_encoder.embeddings.token_embedding.weight"


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Project:
    """A project whose row `anchored` is imported again: its weights, its release as a pipeline, and other words."""
    root = tmp_path_factory.mktemp("imported")
    project = write_project(root / "project", miniature)
    project.keep("base", "anchored")
    project.edit(release__lora=None)
    run_through(project)
    shutil.copyfile(project.folder / "models/anchored" / WEIGHTS, root / "theirs.safetensors")
    shutil.copytree(project.folder / "release/model", root / "pipeline")
    words = load_file(root / "pipeline/text_encoder/model.safetensors")
    key = next(name for name in words if name.endswith("token_embedding.weight"))
    words[key] = words[key].flip(0)
    save_file(words, root / "words.safetensors")
    rows = {row: removal.model_dump(mode="json") for row, removal in project.params.removals.items()}
    rows |= {
        "theirs": imported_row(root / "theirs.safetensors", "unet"),
        "whole": imported_row(root / "pipeline", "pipeline"),
        "words": imported_row(root / "words.safetensors", "text_encoder"),
    }
    project.edit(removals=rows)
    for row in ("theirs", "whole", "words"):
        run_units(project, f"distill@{row}", f"attack@{row}", f"evaluate@{row}")
    run_units(project, "compare")
    return project


@pytest.mark.parametrize("row", ["theirs", "whole"])
def test_our_own_weights_imported_give_the_same_bytes_of_attack_and_evaluation(finished, row):
    for folder in ("attacks", "evaluation"):
        ours, theirs = (
            bytes_below(finished.folder / folder / name, named_from=finished.folder / folder / name)
            for name in ("anchored", row)
        )
        assert len(ours) > 1
        assert {name for name in ours if ours[name] != theirs[name]} <= {"provenance.json"}
        assert ours.keys() == theirs.keys()
    ours, theirs = (
        json.loads((finished.folder / "evaluation" / name / "provenance.json").read_text())
        for name in ("anchored", row)
    )
    assert {key for key in ours if ours[key] != theirs[key]} == {"row", "weights_sha256"}


def test_the_weights_of_a_row_are_stored_like_those_of_the_others_and_name_no_path(finished):
    anchored, theirs = (load_file(finished.folder / "models" / row / WEIGHTS) for row in ("anchored", "theirs"))
    assert anchored.keys() == theirs.keys()
    assert all(torch.equal(anchored[name], theirs[name]) for name in anchored)
    record = json.loads((finished.folder / "models/theirs/removal.json").read_text())
    assert record["trained_parameters"] == 0
    assert record["changed_parameters"] == sum(value.numel() for value in anchored.values())
    assert record["settings"].keys() == {"method", "kind", "digest"}
    for path in ("models/theirs/removal.json", "reports/evaluation.json"):
        assert str(finished.folder.parent) not in (finished.folder / path).read_text()


def test_a_row_that_changes_the_words_draws_and_is_attacked_with_its_own_text_encoder(finished):
    params = finished.params
    assert list(load_file(finished.folder / "models/words" / WEIGHTS)) == [EMBEDDINGS]
    base, words = (
        load_safeguarded_model(params.model, params.compute, finished.folder / "models" / row)
        for row in ("base", "words")
    )
    assert not torch.equal(base.encode(["a badge"]), words.encode(["a badge"]))
    assert all(
        torch.equal(value, dict(words.unet.named_parameters())[name]) for name, value in base.unet.named_parameters()
    )
    for folder in ("evaluation", "attacks"):
        one, other = (
            bytes_below(finished.folder / folder / row, named_from=finished.folder / folder / row)
            for row in ("base", "words")
        )
        assert all(one[name] != other[name] for name in one if name.endswith((".png", ".safetensors")))


def test_a_released_text_encoder_is_the_one_that_was_judged(finished):
    from transformers import CLIPTextModel

    finished.edit(release__row="words")
    run_units(finished, "package")
    released = CLIPTextModel.from_pretrained(finished.folder / "release/model/text_encoder")
    wanted = load_file(finished.folder / "models/words" / WEIGHTS)[EMBEDDINGS]
    assert torch.equal(released.get_input_embeddings().weight, wanted)
    assert "somebody else" in (finished.folder / "release/README.md").read_text()


def test_the_library_merges_an_imported_row_and_leaves_the_base_as_it_was(finished):
    model = load_model(finished.params)
    before = {name: value.clone() for name, value in model.removable().items()}
    safe = erase(model, [], "words", finished.params)
    after = safe.removable()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [EMBEDDINGS]
    assert all(torch.equal(value, before[name]) for name, value in model.removable().items()), "the base changed"
    assert after["conv_in.weight"] is model.removable()["conv_in.weight"], "they share what is equal"


def test_a_text_encoder_has_no_lora_and_the_params_say_so_before_anything_runs(finished):
    with pytest.raises(UserError, match=r"release\.lora: the row words imports a text encoder"):
        finished.edit(release__row="words", release__lora={"most_difference": 1, "pictures": 2, "most_rank": 2})
        _ = finished.params
    finished.edit(release__row="anchored", release__lora=None)


def test_a_row_that_does_not_fit_leaves_nothing_half_written(finished, tmp_path):
    save_file({"conv_in.weight": torch.zeros(1)}, tmp_path / "theirs.safetensors")
    rows = {row: removal.model_dump(mode="json") for row, removal in finished.params.removals.items()}
    finished.edit(removals=rows | {"misfit": imported_row(tmp_path / "theirs.safetensors", "unet")})
    with pytest.raises(UserError, match=r"conv_in\.weight \(1\) does not fit the base"):
        run_units(finished, "distill@misfit")
    assert not list((finished.folder / "models").glob("*misfit*"))
    finished.edit(removals=rows)
