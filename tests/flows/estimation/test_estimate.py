"""`hfi plan`: figures with their sources, and "not known" where there is none."""

import copy
import json

import pytest

from flows.estimation import throughput
from flows.estimation.estimate import estimate_run
from flows.estimation.model_size import measure_model
from flows.estimation.throughput import Rate, read_rate
from flows.execution import cost
from hfi_core.errors import UserError
from hfi_core.io.json_files import write_json
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source, parse_params
from hfi_core.params.values import UNPINNED
from hfi_core.params.workload import Workload
from hfi_core.pipeline import layout
from tests.support.other_model import build_other_model, shard_weights
from tests.support.projects import default_raw

RATE = Rate(forward=0.01, gradient=0.03, peak_memory=2**30, peak_device_memory=0, source="a test")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def figures(raw, rate=None) -> dict:
    return {figure.name: figure for figure in estimate_run(parse_params(raw), rate)}


def asking(**annotation) -> dict:
    raw = copy.deepcopy(default_raw())
    raw["feedback"] |= {"file": "data/feedback/people.jsonl", "simulated": {}, "store": True}
    raw["annotation"] |= annotation
    return raw


def test_every_figure_says_where_it_is_from():
    for figure in estimate_run(parse_params(default_raw()), RATE):
        assert figure.value is not None and figure.source, figure.name


def test_pictures_are_counted_from_the_params():
    found = figures(default_raw())
    raw = default_raw()
    assert found["candidates"].value == len(raw["concepts"]["badge"]["prompts"]) * 64
    assert found["evaluation"].value == 4 * 680


def test_people_are_asked_for_each_candidate_so_many_times():
    pictures = figures(default_raw())["candidates"].value
    assert figures(default_raw())["judgements of people"].value == 0
    assert figures(asking(judgements=5))["judgements of people"].value == 5 * pictures
    ranking = asking(judgements=2, ranked=5)
    ranking["concepts"]["badge"]["feedback"] = "ranking"
    assert figures(ranking)["judgements of people"].value == -(-pictures // 5) * 2


def test_without_a_rate_the_hours_are_not_known_and_the_way_to_them_is_named():
    hours = figures(default_raw())["hours on cpu"]
    assert hours.value is None and hours.format_value() == "not known" and "--measure" in hours.source


def test_hours_are_passes_times_the_rate():
    found = figures(default_raw(), RATE)
    passes = found["UNet passes forward"].value, found["UNet passes with gradient"].value
    assert found["hours on cpu"].value == pytest.approx((passes[0] * 0.01 + passes[1] * 0.03) / 3600)


def test_the_rate_is_learnt_from_units_that_ran_whole_on_the_same_model_and_device():
    params = parse_params(default_raw())
    spent = cost.Cost(cost.datetime.now(cost.UTC), seconds=70.0, peak_memory=5)
    assert read_rate(params) is None
    cost.append_cost("ingest@badge", spent, "cpu", cost.describe_unet_work(params, Workload()))
    cost.append_cost("generate@badge", spent, "cpu")
    assert read_rate(params) is None
    cost.append_cost(
        "distill@anchored", spent, "cpu", cost.describe_unet_work(params, Workload(forward=100, gradient=200))
    )
    rate = read_rate(params)
    assert rate.forward == pytest.approx(0.1) and rate.gradient == pytest.approx(0.3) and rate.peak_memory == 5
    other = default_raw()
    other["compute"]["threads"] = 1
    assert read_rate(parse_params(other)) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"runs": 5}', '{"runs": [5]}', "\0"])
def test_a_damaged_record_of_costs_is_named_and_costs_no_unit_that_has_run(content, capsys):
    layout.COST.parent.mkdir()
    layout.COST.write_text(content)
    with pytest.raises(UserError, match="cost.json cannot be read"):
        read_rate(parse_params(default_raw()))
    cost.append_cost("ingest@badge", cost.Cost(cost.datetime.now(cost.UTC)), "cpu")
    assert "moved to reports/cost.json.damaged" in capsys.readouterr().err
    assert [row["unit"] for row in cost.read_costs()] == ["ingest@badge"]
    assert layout.COST.with_name("cost.json.damaged").read_text() == content


def test_a_missing_model_is_not_fetched_and_its_sizes_are_not_known(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    raw = asking()
    raw["model"] |= {"source": "nobody/nothing", "revision": "0" * 40}
    found = figures(raw)
    assert found["disk"].value is None and "hfi params pin" in found["disk"].source
    assert found["candidates"].value > 0


def test_a_damaged_model_folder_is_named(tmp_path):
    write_json(tmp_path / "model" / "unet" / "config.json", {})
    raw = asking()
    raw["model"]["source"] = "model"
    with pytest.raises(UserError, match=r"model has no model_index\.json"):
        figures(raw)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_model_in_shards_has_the_sizes_of_the_same_in_one_file(tmp_path, part):
    folder = build_other_model(tmp_path / "own") / "pipeline"
    source = Source(source=str(folder), revision=None, digest=UNPINNED)
    whole = measure_model(source)
    (path,) = (folder / part).glob("*.safetensors")
    shard_weights(path)
    sharded = measure_model(source)
    assert sharded.parameters == whole.parameters and sharded.unet_parameters == whole.unet_parameters
    load_base_model(
        source.model_copy(update={"digest": digest_of_weights(folder)}), parse_params(default_raw()).compute
    )


def test_an_estimate_refuses_what_a_run_refuses(tmp_path):
    folder = build_other_model(tmp_path / "own") / "pipeline"
    write_json(folder / "model_index.json", {"_class_name": "StableDiffusionInpaintPipeline"})
    with pytest.raises(UserError, match="describes a StableDiffusionInpaintPipeline"):
        measure_model(Source(source=str(folder), revision=None, digest=UNPINNED))


def test_a_measured_rate_is_positive_and_the_plan_is_json_too(project, monkeypatch, capsys):
    from flows.cli.plan import plan

    monkeypatch.setattr(throughput, "_MIN_SECONDS", 0.0)
    monkeypatch.chdir(project.folder)
    plan(measure=True, as_json=True)
    found = {figure["name"]: figure for figure in json.loads(capsys.readouterr().out)}
    assert found["hours on cpu"]["value"] > 0 and "measured now" in found["hours on cpu"]["source"]
    assert found["memory, peak"]["value"] > found["memory, weights"]["value"]
