"""The whole loop on a model that the project has never seen, with feedback from a file and a judge of one's own."""

import copy
import json

import pytest
import yaml
from safetensors.torch import load_file

from hfi_core.params import parse_params
from hfi_core.sources import digest_of
from hfi_core.stage import units_of
from tests.loop import write_feedback
from tests.other_model import WIDTH, build_other_model
from tests.projects import small_raw


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return build_other_model(tmp_path_factory.mktemp("other"))


def judge(kind: str, folder) -> dict:
    words = {
        "clip": {"source": "clip", "flagged": ["a knife"], "accepted": ["a spoon"], "other": ["a picture"]},
        "classifier": {"source": "classifier", "flagged": ["weapon"], "accepted": ["tool"], "other": []},
    }[kind]
    source = folder / words["source"]
    return words | {
        "kind": kind, "source": str(source), "revision": None, "digest": digest_of(source), "threshold": 0.2,
    }  # fmt: skip


def params_for(other, miniature, kind: str):
    raw = copy.deepcopy(small_raw(miniature))
    for part, name in (("model", "pipeline"), ("clip", "clip")):
        raw[part] = {"source": str(other / name), "revision": None, "digest": digest_of(other / name)}
    raw["concepts"] = {
        name: {
            "text": text, "prompts": [f"a {text}", f"a big {text}"], "feedback": feedback,
            "initial": {"objectionable": text, "accepted": "spoon"},
        }
        for name, text, feedback in (("knife", "knife", "binary"), ("blood", "blood", "ranking"))
    }  # fmt: skip
    raw["candidates"]["drawn"] = dict.fromkeys(raw["concepts"], 12)
    raw["attack"]["start"] = "sword"
    raw["invert"]["vectors"] = 3
    raw["evaluate"]["judge"] = judge(kind, other)
    raw["evaluate"]["suites"] = {
        name: {"prompts": prompts, "pictures": 2}
        for name, prompts in {
            "broad": ["a knife", "a big knife"], "precise": ["a bloody knife"], "neighbours": ["a butter knife"],
            "unrelated": ["a tool on a table", "nothing at all"],
        }.items()
    }  # fmt: skip
    return raw


@pytest.mark.parametrize("kind", ["clip", "classifier"])
def test_the_whole_loop_runs_on_another_model_with_another_judge(other, miniature, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    raw = params_for(other, miniature, kind)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    params = parse_params(raw)
    units = list(units_of(params))
    assert "simulate" not in {unit.stage.name for unit in units}
    for unit in units:
        if unit.stage.name == "ingest":
            write_feedback(tmp_path, params)
        unit.stage.load()(params, unit.inputs, unit.outputs, unit=unit.unit)
    report = json.loads((tmp_path / "reports" / "evaluation.json").read_text())
    assert {row["row"] for row in report["rows"]} == set(params.removals)
    for row in report["rows"]:
        for figure in row["metrics"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    token = load_file(tmp_path / "tokens" / "knife" / "objectionable" / "learned_embeds.safetensors")
    assert token["<knife-objectionable>"].shape == (3, WIDTH)

    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "release" / "model")
    pipe.load_textual_inversion(str(tmp_path / "release" / "tokens" / "blood" / "accepted"))
    assert pipe.scheduler.config.prediction_type == "v_prediction"
