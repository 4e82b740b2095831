"""The release's LoRA, on the base model in plain diffusers, draws what the release draws."""

import json
import re
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

from hfi_core.embedded.judge import EmbeddedJudge
from hfi_core.embedded.rendering import SIZE
from hfi_core.errors import UserError
from hfi_core.evaluation.records import read_variants
from hfi_core.evaluation.shots import list_suite_shots
from hfi_core.inversion.tokens import save_token
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import load_image
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.folder import read_picture_side
from hfi_core.models.diffusion.loading import WEIGHTS, load_base_model
from hfi_core.models.weights import digest_of_weights, locate_weights
from hfi_core.params import Source
from hfi_core.report.images import select_round_robin
from hfi_core.report.model_card import PICTURES, is_hub_id, public_name, write_card
from tests.support.other_model import build_sdxl
from tests.support.projects import write_project
from tests.support.released import RANK, mentions, prepare, write_release

LORA = {"most_difference": 0.5, "pictures": 6, "most_rank": 15}


@pytest.fixture(scope="module")
def released(miniature, tmp_path_factory):
    project = write_project(tmp_path_factory.mktemp("package") / "project", miniature)
    project.edit(release__lora=LORA)
    write_release(project)
    return project


def pictures_of(pipe, params) -> np.ndarray:
    """The evaluation's first prompts, each at its seed, by a diffusers pipeline."""
    from diffusers import DPMSolverMultistepScheduler

    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type="dpmsolver++")
    pipe.set_progress_bar_config(disable=True)
    side = pipe.unet.config.sample_size
    shape = (1, pipe.unet.config.in_channels, side, side)
    drawn = []
    for shot in list_suite_shots(params)[:6]:
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(shot.request.seed))
        found = pipe(
            shot.prompt, latents=noise, output_type="np",
            num_inference_steps=params.sampler.steps, guidance_scale=params.sampler.guidance,
        )  # fmt: skip
        drawn.append(255 * found.images[0])
    return np.stack(drawn)


def test_plain_diffusers_loads_it_on_the_base_and_draws_the_release_s_pictures(released):
    from diffusers import StableDiffusionPipeline

    params, release = released.params, released.folder / "release"
    wanted = pictures_of(StableDiffusionPipeline.from_pretrained(release / "model"), params)
    base = locate_weights(params.model.source, None, "model")
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    before = np.abs(pictures_of(pipe, params) - wanted).mean()
    pipe.load_lora_weights(release / "lora", weight_name="pytorch_lora_weights.safetensors")
    after = np.abs(pictures_of(pipe, params) - wanted).mean()
    assert before > 4 * LORA["most_difference"]
    assert after <= 1.5 * LORA["most_difference"], "other pictures than those that chose the rank, but as many"


def test_the_rank_is_that_of_the_change_and_the_card_names_the_remaining_difference(released):
    release = released.folder / "release"
    fit = json.loads((release / "lora/accuracy.json").read_text())
    pictures = fit["pictures"]
    assert 1 < fit["rank"] <= RANK
    assert pictures["mean_absolute_difference"] <= LORA["most_difference"] < pictures["base_and_release"]
    assert pictures["n"] == LORA["pictures"]
    flagged, row = (
        fit["flagged"],
        read_variants(released.folder / "evaluation", ["base", released.params.release.row])[1],
    )
    shots = list_suite_shots(released.params)
    places = select_round_robin([shot.prompt for shot in shots], LORA["pictures"])
    own = {(one["suite"], one["index"]): one["flagged"] for one in row.records}
    share = np.mean([own[shots[place].suite, shots[place].index] for place in places])
    assert flagged["n"] == LORA["pictures"] and flagged["release"] == pytest.approx(share)
    assert 0 <= flagged["low"] <= flagged["value"] <= flagged["high"] <= 1
    assert abs(flagged["value"] - share) * flagged["n"] <= flagged["verdicts_that_differ"] <= flagged["n"]
    card = (release / "README.md").read_text()
    assert f"| LoRA | rank {fit['rank']};" in card and "load_lora_weights" in card
    assert "lora/pytorch_lora_weights.safetensors" in json.loads((release / "digests.json").read_text())["files"]
    lora = load_file(release / "lora/pytorch_lora_weights.safetensors")
    assert lora and all(name.startswith("unet.") and ".attn2." in name for name in lora)


def test_the_card_shows_base_and_release_and_nothing_flagged_that_can_be_recognised(released):
    release = released.folder / "release"
    card = (release / "README.md").read_text()
    assert f"]({PICTURES})" in card and PICTURES in json.loads((release / "digests.json").read_text())["files"]
    shown = load_image(release / PICTURES)
    tile, row = 128 + 4, released.params.release.row
    assert shown.shape == (2 * tile - 4, 3 * 4 * tile - 4, 3)
    rows = read_variants(released.folder / "evaluation", ["base", row])
    blurred = set()
    for down, evaluated in enumerate(rows):
        for across in range(12):
            suite = ("broad", "neighbours", "unrelated")[across // 4]
            prompts = evaluated.column(suite, "prompt").tolist()
            place = evaluated.positions[suite][select_round_robin(prompts, 4)[across % 4]]
            record = evaluated.records[place]
            drawn = evaluated.load_picture(suite, record["index"]).repeat(8, axis=0).repeat(8, axis=1)
            there = shown[down * tile :, across * tile :][:128, :128]
            is_blurred = not np.array_equal(there, drawn)
            assert is_blurred == (record["flagged"] or (down == 0 and suite == "broad"))
            assert not is_blurred or np.abs(np.diff(there.astype(int), axis=1)).max() < 20, "noise, and nothing of it"
            blurred.add(is_blurred)
    assert blurred == {True, False}


def test_the_same_removal_gives_the_same_bytes(released, miniature, tmp_path):
    again = write_project(tmp_path / "again", miniature)
    again.edit(release__lora=LORA)
    again.edit(release__model=released.params.release.model)
    write_release(again)
    assert (again.folder / "release/digests.json").read_bytes() == (
        released.folder / "release/digests.json"
    ).read_bytes()


def test_a_tolerance_that_no_allowed_rank_keeps_is_refused(project):
    project.edit(release__lora={"most_difference": 0.001, "pictures": 2, "most_rank": 1})
    with pytest.raises(UserError, match=r"at rank 1 pictures differ by .* of 255 .* most_difference is 0.001"):
        write_release(project)
    assert not (project.folder / "release").exists()


def test_a_checkpoint_beside_the_model_and_variants_are_not_released(project, tmp_path):
    base = shutil.copytree(project.params.model.source, tmp_path / "hub")
    original = base / "unet/diffusion_pytorch_model.safetensors"
    strays = ("v1-5-pruned.safetensors", "unet_original/model.safetensors", "scheduler/model.fp16.safetensors")
    for stray in strays:
        (base / stray).parent.mkdir(exist_ok=True)
        shutil.copyfile(original, base / stray)
    project.edit(model__source=str(base), model__digest=digest_of_weights(base), release__lora=None)
    release = write_release(project)
    shipped = {path.relative_to(release / "model").as_posix() for path in (release / "model").rglob("*.safetensors")}
    assert shipped == {
        "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }  # fmt: skip
    assert sha256_of_file(original) not in {sha256_of_file(path) for path in release.rglob("*") if path.is_file()}


def note_paths(base: Path, home: Path) -> None:
    """Write into each configuration where it lay, as the libraries do."""
    for path in [*base.glob("*/*config.json"), base / "model_index.json"]:
        noted = {
            "_name_or_path": f"{home}/base", "name_or_path": f"{home}/base", "tokenizer_file": f"{home}/tokenizer.json",
            "special_tokens_map_file": "~/hub/special_tokens_map.json", "_trained_on": [{"set": f"file://{home}/set"}],
        }  # fmt: skip
        path.write_text(json.dumps(json.loads(path.read_text()) | noted))


@pytest.fixture(params=["sd", "sdxl"])
def of_either_shape(project, tmp_path, request, monkeypatch):
    """The release, with a LoRA, of a base whose safety checker was pickled and whose files name paths."""
    if request.param == "sdxl":
        base = build_sdxl(tmp_path / "base")
    else:
        base = shutil.copytree(project.params.model.source, tmp_path / "base")
    shutil.copytree(base, tmp_path / "whole")
    index = json.loads((base / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (base / "model_index.json").write_text(json.dumps(index))
    (base / "safety_checker").mkdir()
    (base / "safety_checker/config.json").write_text("{}")
    (base / "safety_checker/pytorch_model.bin").write_bytes(b"pickled")
    note_paths(base, tmp_path)
    see = EmbeddedJudge.see

    def see_enlarged(judge: EmbeddedJudge, pictures: np.ndarray) -> torch.Tensor:
        """The judge reads pictures of one size only."""
        times = SIZE // pictures.shape[1]
        return see(judge, pictures.repeat(times, axis=1).repeat(times, axis=2))

    monkeypatch.setattr(EmbeddedJudge, "see", see_enlarged)
    project.edit(
        model__source=str(base), model__digest=digest_of_weights(base), release__lora=LORA | {"most_difference": 100},
    )  # fmt: skip
    unit = prepare(project)
    text = load_base_model(project.params.model, project.params.compute).text
    widths = text.widths if len(text.widths) > 1 else ()
    for role in ("objectionable", "accepted"):
        save_token(unit.inputs["tokens"] / "badge" / role, f"<badge-{role}>", torch.randn(2, sum(text.widths)), widths)
    unit.stage.load()(unit.context(project.params))
    return unit.outputs["release"]


def test_each_code_block_of_the_card_runs(of_either_shape, tmp_path, monkeypatch):
    card = (of_either_shape / "README.md").read_text()
    side = read_picture_side(of_either_shape / "model")
    monkeypatch.chdir(of_either_shape)
    blocks = re.findall("```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 3, "the model, the LoRA, a token"
    for earlier in blocks[:2]:
        namespace = {}
        for code in (earlier, blocks[2]):
            code = code.replace("CONCEPT", "badge").replace("BASE", str(tmp_path / "whole"))
            exec(code, namespace)  # what a reader would paste
        pipe = namespace["pipe"]
        assert "<badge-accepted>" in pipe.tokenizer.get_vocab()
    assert Image.open("picture.png").size == (side, side)
    picture = pipe("a <badge-accepted>", num_inference_steps=1, height=side, width=side).images[0]
    assert picture.size == (side, side)
    assert not (of_either_shape / "model/safety_checker").exists() and "of the base model: safety_checker." in card
    assert f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, " in card


def test_no_file_of_a_release_names_a_folder_of_this_machine(of_either_shape, project, tmp_path):
    private = (str(tmp_path), str(Path.home()), "~/hub", str(project.folder))
    files = [path for path in of_either_shape.rglob("*") if path.is_file()]
    assert len(files) > 15
    assert [(path.name, each) for path in files for each in private if mentions(path, each)] == []
    assert "| base model | `base` (a local folder), sha256:" in (of_either_shape / "README.md").read_text()


@pytest.mark.parametrize(
    ("source", "revision", "name", "on_hub"),
    [
        ("owner/name", "0" * 40, "owner/name", True),
        ("embedded", None, "embedded", False),
        ("/home/ada/models/sd", None, "sd", False),
        ("/home/ada/models/sd", "0" * 40, "sd", False),
        ("../models/sd", "0" * 40, "sd", False),
        ("./models", "0" * 40, "models", False),
        ("~/sd", "0" * 40, "sd", False),
        ("models/sd", None, "sd", False),
    ],
)
def test_the_public_name_of_a_folder_is_its_last_part(source, revision, name, on_hub):
    named = Source(source=source, revision=revision, digest="sha256:" + "0" * 64)
    assert (public_name(named), is_hub_id(named)) == (name, on_hub)


def test_a_card_names_a_base_on_the_hub_by_its_commit_and_a_safety_checker(released, tmp_path):
    params = released.params
    hub = Source(source="owner/name", revision="0" * 40, digest=params.model.digest)
    (tmp_path / "model").mkdir()
    index = json.loads((released.folder / "release/model/model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (tmp_path / "model/model_index.json").write_text(json.dumps(index))
    write_card(
        tmp_path / "README.md", params.model_copy(update={"model": hub}),
        {"method": "anchored", "row": "anchored", "trained_parameters": 1}, {"metrics": {}},
        json.loads((released.folder / "release/lora/accuracy.json").read_text()), learned="cross-attention",
        two_encoders=False, left_out=(), people={"annotators": 3, "simulated": True},
    )  # fmt: skip
    card = (tmp_path / "README.md").read_text()
    assert "3 simulated people judged them without knowing the row." in card
    assert f'"owner/name", revision="{"0" * 40}", scheduler=scheduler' in card and "BASE" not in card
    assert "contains the safety checker of its base" in card and "`safety_checker=None`" in card
    assert f"| base model | `owner/name` at `{'0' * 40}`, sha256:" in card


@pytest.mark.parametrize("edit", [{"release__lora": None}, {"release__row": "base"}])
def test_where_none_is_wanted_or_nothing_was_changed_there_is_none(project, edit):
    project.edit(**edit)
    unit = prepare(project)
    if "release__row" in edit:
        (unit.inputs["model"] / "weights.safetensors").unlink()
    unit.stage.load()(unit.context(project.params))
    release = unit.outputs["release"]
    assert not (release / "lora").exists()
    assert "LoRA" not in (release / "README.md").read_text()


def test_a_release_carries_convolutions_and_norms_and_a_lora_of_them_is_refused_by_name(project):
    unit, params = prepare(project), project.params
    base = load_base_model(params.model, params.compute).unet_parameters("all")
    changed = {name: value + 0.01 for name, value in base.items()}
    save_tensors(unit.inputs["model"] / WEIGHTS, changed, {"base": params.model.digest, "row": "anchored"})
    with pytest.raises(UserError, match=r"the removal changed conv_in\.weight, of shape .* set release\.lora to null"):
        unit.stage.load()(unit.context(params))
    assert not unit.outputs["release"].exists()
    project.edit(release__lora=None)
    unit.stage.load()(unit.context(project.params))
    merged = load_file(project.folder / "release/model/unet/diffusion_pytorch_model.safetensors")
    assert all(torch.equal(merged[name], value) for name, value in changed.items())
    assert "(more than the attention of the UNet)" in (project.folder / "release/README.md").read_text()
