"""A project on the second base model: its pictures, simulated annotators and judge, from a folder of the builder."""

from pathlib import Path

import pytest
import torch
import yaml

from flows.doctor.machine import check_machine
from flows.project import presets
from flows.project.pins import pin_digests
from hfi_core.embedded.scenes import SIGNS
from hfi_core.errors import UserError
from hfi_core.evaluation.records import read_variants
from hfi_core.evaluation.shots import list_shots
from hfi_core.feedback.reader import read_judgements
from hfi_core.io.json_files import read_json
from hfi_core.params import Params, load_params
from hfi_core.params.values import UNPINNED
from hfi_core.pipeline.graph import units_of
from tests.support.attacks import write_tokens_found

PARTS = ("model", "clip", "judge", "annotators")


@pytest.fixture
def signs(miniature_signs, tmp_path, monkeypatch) -> Path:
    """The preset in a folder, made short, with the builder's folder where it says; the path of its params."""
    for path, text in presets.read_preset("signs").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/signs").symlink_to(miniature_signs)
    raw = yaml.safe_load((tmp_path / "params.yaml").read_text())
    raw["compute"] |= {"threads": 1, "block": 8}
    raw["sampler"] |= {"steps": 2}
    raw["candidates"]["drawn"] = {"sign": 1}
    raw["attacks"]["reinverted"] |= {"pictures": 2}
    for suite in raw["evaluate"]["suites"].values():
        suite |= {"pictures": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params.yaml"


def run(params: Params, address: str) -> dict[str, float]:
    (unit,) = (unit for unit in units_of(params) if unit.address == address)
    return unit.stage.load()(unit.context(params))


def test_the_pictures_of_signs_are_drawn_judged_by_the_crowd_and_evaluated(signs):
    pinned = {key: new for key, _, new in pin_digests(signs)}
    params = load_params(signs)
    assert params.feedback.simulated["crowd"].digest == pinned["feedback.simulated.crowd.digest"]
    assert len({*pinned.values(), UNPINNED}) == 5
    run(params, "generate@sign")
    assert run(params, "simulate@crowd") == {"judgements": 3 * 8, "annotators": 3}
    judged = {judgement.picture for _, judgement in read_judgements(Path(params.feedback.file))}
    assert judged == {path.stem for path in Path("candidates/sign/pictures").iterdir()}
    Path("models/base").mkdir(parents=True)
    write_tokens_found(Path("attacks/base"), params, torch.zeros(2, 64))
    run(params, "evaluate@base")
    (variant,) = read_variants(Path("evaluation"), ["base"])
    assert len(variant.records) == len(list_shots(params, Path("attacks/base"))) == 24 + 12 + 12 + 16 + 8 + 8 + 2
    assert read_json(Path("evaluation/base/provenance.json"))["judge"]["digest"] == params.evaluate.judge.digest


def test_the_doctor_looks_at_the_weights_of_the_annotators_too(signs, miniature_signs):
    pin_digests(signs)
    found = {finding.name: finding for finding in check_machine()}
    assert all(found[part].ok and SIGNS.name in found[part].message for part in PARTS)
    other = signs.read_text().replace("signs/judges/annotators", "signs/judges/nobody")
    signs.write_text(other)
    (finding,) = (finding for finding in check_machine() if finding.name == "annotators")
    assert not finding.ok and "feedback.simulated.*.source 'data/signs/judges/nobody'" in finding.message


def test_a_crowd_of_the_embedded_model_is_refused_for_another_model(signs):
    signs.write_text(signs.read_text().replace("source: data/signs/judges/annotators", "source: null"))
    with pytest.raises(UserError, match=r"name the judge of its annotators in feedback\.simulated\.crowd\.source"):
        load_params(signs)
