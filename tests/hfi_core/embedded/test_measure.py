"""The figures of the embedded model's card can be reproduced."""

import json
import shutil
from pathlib import Path

from hfi_core.embedded import measure
from hfi_core.models.weights import digest_of_weights


def test_a_built_model_is_measured_and_gets_its_card(miniature, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "model"
    shutil.copytree(miniature, folder, ignore=shutil.ignore_patterns("work"))
    for name, value in {"HELD_OUT": 8, "SPOILT": 4, "PICTURES": 1}.items():
        monkeypatch.setattr(measure, name, value)
    monkeypatch.setattr(measure, "SAMPLER", measure.SAMPLER.model_copy(update={"steps": 1}))
    monkeypatch.setattr(measure, "COMPUTE", measure.COMPUTE.model_copy(update={"threads": 1}))
    assert measure.main([str(folder)]) == 0
    made = json.loads((folder / "card.json").read_text())
    shipped = json.loads((Path(measure.__file__).parent / "weights/card.json").read_text())
    assert made["figures"].keys() == shipped["figures"].keys()
    assert made["digests"]["pipeline"] == digest_of_weights(folder / "pipeline")
    output = capsys.readouterr().out
    assert all(name in output and name in (folder / "README.md").read_text() for name in made["figures"])
