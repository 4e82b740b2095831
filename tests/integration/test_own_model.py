"""The whole loop on a model that the project has never seen, with feedback from a file and a judge of one's own."""

import copy
import json

import pytest
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from hfi_core.models.weights import digest_of_weights
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import units_of
from tests.support.loop import write_feedback
from tests.support.other_model import SIDE, WIDTH, build_other_model, build_sdxl
from tests.support.projects import small_raw, write_raw


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = build_other_model(tmp_path_factory.mktemp("other"))
    build_sdxl(folder / "sdxl")
    return folder


def judge(kind: str, other, miniature) -> dict:
    words = {
        "clip": {"flagged": ["a knife"], "accepted": ["a spoon"], "other": ["a picture"]},
        "classifier": {"flagged": ["weapon"], "accepted": ["tool"], "other": []},
    }[kind]
    source = {"clip": miniature / "clip", "classifier": other / "classifier"}[kind]
    return words | {
        "kind": kind, "source": str(source), "revision": None, "digest": digest_of_weights(source), "threshold": 0.2,
    }  # fmt: skip


def params_for(other, miniature, kind: str, model: str = "pipeline"):
    raw = copy.deepcopy(small_raw(miniature))
    for part, name in (("model", model), ("clip", "clip")):
        raw[part] = {"source": str(other / name), "revision": None, "digest": digest_of_weights(other / name)}
    raw["concepts"] = {
        name: {
            "text": text, "prompts": [f"a {text}", f"a big {text}"], "feedback": feedback,
            "initial": {"objectionable": text, "accepted": "spoon"},
        }
        for name, text, feedback in (("knife", "knife", "binary"), ("blood", "blood", "ranking"))
    }  # fmt: skip
    raw["candidates"]["drawn"] = dict.fromkeys(raw["concepts"], 12)
    raw["attacks"]["reinverted"]["start"] = {"word": "sword"}
    raw["invert"]["vectors"] = 3
    raw["evaluate"]["judge"] = judge(kind, other, miniature)
    raw["evaluate"]["suites"] = {
        name: {"prompts": prompts, "pictures": 2}
        for name, prompts in {
            "broad": ["a knife", "a big knife"], "precise": ["a bloody knife"], "neighbours": ["a butter knife"],
            "unrelated": ["a tool on a table", "nothing at all"],
        }.items()
    }  # fmt: skip
    del raw["release"]["gates"]["flagged@unnamed"]
    return raw


@pytest.mark.parametrize(("model", "kind"), [("pipeline", "clip"), ("sdxl", "classifier")])
def test_the_whole_loop_runs_on_another_model_with_another_judge(other, miniature, tmp_path, monkeypatch, model, kind):
    monkeypatch.chdir(tmp_path)
    raw = params_for(other, miniature, kind, model)
    write_raw(tmp_path, raw)
    params = parse_params(raw)
    units = list(units_of(params))
    assert "simulate" not in {unit.stage.name for unit in units}
    for unit in units:
        if unit.stage.name == "ingest":
            write_feedback(tmp_path, params)
        unit.stage.load()(unit.context(params))
    report = json.loads((tmp_path / "reports" / "evaluation.json").read_text())
    assert {row["row"] for row in report["rows"]} == set(params.removals)
    for row in report["rows"]:
        for figure in row["metrics"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    release = tmp_path / "release"
    pipe = DiffusionPipeline.from_pretrained(release / "model")
    token = load_file(release / "tokens/knife/objectionable/learned_embeds.safetensors")
    if model == "sdxl":
        pipe.load_textual_inversion(token["clip_l"], "<knife-objectionable>", pipe.tokenizer, pipe.text_encoder)
        pipe.load_textual_inversion(token["clip_g"], "<knife-objectionable>", pipe.tokenizer_2, pipe.text_encoder_2)
        assert pipe("a <knife-objectionable>", num_inference_steps=1, height=SIDE, width=SIDE).images[0].size == (
            SIDE,
            SIDE,
        )
    else:
        assert token["<knife-objectionable>"].shape == (3, WIDTH)
        pipe.load_textual_inversion(str(release / "tokens/blood/accepted"))
        assert pipe.scheduler.config.prediction_type == "v_prediction"
