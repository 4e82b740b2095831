"""The evaluate stage on the miniature model."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from hfi_core.attacks.base import Attacker, AttackPrompt, Found
from hfi_core.attacks.files import AttackerResult, write_attack
from hfi_core.compute.seeding import derive_seed
from hfi_core.compute.shards import Shard
from hfi_core.errors import UserError
from hfi_core.evaluation import judging
from hfi_core.evaluation.records import read_variants
from hfi_core.evaluation.shots import list_shots, list_suite_shots
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.io.images import load_image, save_image
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.judges.base import PictureVerdict
from hfi_core.models.diffusion.loading import load_base_model, load_safeguarded_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_initial_noise, draw_pictures
from hfi_core.params import Params, parse_params
from hfi_core.pipeline.graph import STAGES
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import evaluate
from tests.support.attacks import write_tokens_found
from tests.support.projects import small_raw

SUITES = ("broad", "precise", "neighbours", "unrelated", "unnamed", "synonyms", "reinverted")


@dataclass(frozen=True)
class Bench:
    """Params, and the inputs that evaluate wants, for a base and a row with other weights."""

    params: Params
    folder: Path

    def inputs(self, unit: str) -> dict[str, Path]:
        return {"model": self.folder / "models" / unit, "attack": self.folder / "attacks" / unit}

    def run(self, unit: str, into: str = "evaluation", **options):
        outputs = {"evaluation": self.folder / into / unit}
        return evaluate.run(StageContext(self.params, self.inputs(unit), outputs, unit, **options))


@pytest.fixture(scope="module")
def bench(miniature, tmp_path_factory) -> Bench:
    raw = small_raw(miniature)
    raw["attacks"]["reinverted"]["attackers"] = 2
    params = parse_params(raw)
    folder = tmp_path_factory.mktemp("evaluate")
    generator = torch.Generator().manual_seed(0)
    for row in ("base", "anchored"):
        (folder / "models" / row).mkdir(parents=True)
        write_tokens_found(folder / "attacks" / row, params, torch.randn(2, 64, generator=generator))
    unet, _ = load_tensors(miniature / "pipeline/unet/diffusion_pytorch_model.safetensors")
    changed = {name: 1.5 * value.float() for name, value in unet.items() if ".attn2." in name}
    save_tensors(folder / "models/anchored/weights.safetensors", changed, {"base": params.model.digest})
    found = Bench(params, folder)
    found.run("base")
    found.run("anchored")
    return found


def _records(bench, row, into="evaluation"):
    return [json.loads(line) for line in (bench.folder / into / row / "pictures.jsonl").read_text().splitlines()]


def test_every_suite_is_drawn_and_each_record_names_its_picture(bench):
    records = _records(bench, "base")
    assert tuple(dict.fromkeys(record["suite"] for record in records)) == SUITES
    assert len(records) == 6 * 2 * 2 + 2 * 4
    for record in records:
        path = bench.folder / "evaluation/base/pictures" / record["suite"] / f"{record['index']:05d}.png"
        assert sha256_of_file(path) == record["sha256"]
    features = load_tensors(bench.folder / "evaluation/base/features.safetensors")[0]["features"]
    assert len(features) == len(records)
    assert torch.allclose(features.norm(dim=1), torch.ones(len(records)), atol=1e-5)


def test_rows_share_prompts_and_seeds_and_differ_in_pictures(bench):
    base, anchored = read_variants(bench.folder / "evaluation", ["anchored", "base"])
    assert (base.name, anchored.name) == ("base", "anchored")
    assert base.column("broad", "seed").tolist() == anchored.column("broad", "seed").tolist()
    assert set(base.column("broad", "sha256")).isdisjoint(anchored.column("broad", "sha256"))


def test_each_attackers_token_takes_the_place_of_the_concepts_text(bench):
    records = [record for record in _records(bench, "base") if record["suite"] == "reinverted"]
    for name, token in (("badge", "<badge-reinverted>"), ("badge.2", "<badge-reinverted-2>")):
        prompts = [record["prompt"] for record in records if record["attacker"] == name]
        assert prompts == [f"a {token}", f"a red {token}", f"a blue {token}", f"a {token}"]
    assert {record["attacker"] for record in _records(bench, "base") if record not in records} == {None}
    shots = list_shots(bench.params, bench.folder / "attacks/base")
    assert {shot.prompt for shot in shots if shot.suite == "reinverted"} == {
        "a badge", "a red badge", "a blue badge",
    }  # fmt: skip


def test_pictures_with_a_token_are_those_of_plain_draws_with_it(bench, tmp_path):
    """A transcription: all requests in order of the suites, then of the attackers, in blocks."""
    folder = bench.folder / "attacks/base/reinverted"
    params, tokens = bench.params, load_tokens(folder)
    requests = [shot.request for shot in list_suite_shots(params)]
    for token in ("<badge-reinverted>", "<badge-reinverted-2>"):
        for i in range(4):
            prompt = params.concepts["badge"].prompts[i % 3].replace("badge", token)
            requests.append(
                SampleRequest(prompt, derive_seed(params.seed, "evaluate", "reinverted", prompt, i) % 2**31)
            )
    model = load_base_model(params.model, params.compute)
    drawn = list(draw_pictures(model, requests, params.sampler, block=params.compute.block, tokens=tokens))[-8:]
    for index, (_, pixels) in enumerate(drawn):
        save_image(tmp_path / "picture.png", pixels)
        stored = bench.folder / f"evaluation/base/pictures/reinverted/{index:05d}.png"
        assert sha256_of_file(tmp_path / "picture.png") == sha256_of_file(stored)


@pytest.mark.parametrize("count", [1, 2])
def test_latents_weights_and_guidance_of_an_attack_are_drawn_with(bench, tmp_path, count):
    params = bench.params
    base, anchored = (load_safeguarded_model(params.model, params.compute, bench.folder / "models" / row)
                      for row in ("base", "anchored"))  # fmt: skip
    weights = load_tensors(bench.folder / "models/anchored/weights.safetensors")[0]
    found = Found(
        [
            AttackPrompt("a badge", "a badge", 1, latents=draw_initial_noise(base, [2])[0]),
            AttackPrompt("a badge", "a badge", 2, weights="changed"),
            AttackPrompt("a badge", "a badge", 2, guidance=1.0),
            AttackPrompt("a badge", "a badge", 2),
        ],
        weights={"changed": weights},
    )
    results = [AttackerResult(Attacker("reinverted", "badge", 1), found)]
    attacks = tmp_path / "attacks"
    write_attack(attacks / "reinverted", results, guidance=params.sampler.guidance, base=params.model.digest)
    inputs = {"model": bench.folder / "models/base", "attack": attacks}
    for fill in next(stage for stage in STAGES if stage.name == "evaluate").load_shards():
        for index in range(count):
            fill(StageContext(params, inputs, unit="base", work=tmp_path / "work", shard=Shard(index, count)))
    outputs = {"evaluation": tmp_path / "evaluation"}
    evaluate.run(StageContext(params, inputs, outputs, "base", work=tmp_path / "work"))

    def draw(model, guidance):
        sampler = params.sampler.model_copy(update={"guidance": guidance})
        ((_, pixels),) = draw_pictures(model, [SampleRequest("a badge", 2)], sampler, block=params.compute.block)
        return pixels

    plain = draw(base, params.sampler.guidance)
    expected = [plain, draw(anchored, params.sampler.guidance), draw(base, 1.0), plain]
    for index, pixels in enumerate(expected):
        stored = load_image(tmp_path / f"evaluation/pictures/reinverted/{index:05d}.png")
        assert np.abs(stored.astype(int) - pixels).max() <= 1, index
    assert not np.array_equal(expected[0], expected[1]) and not np.array_equal(expected[0], expected[2])


def test_without_attacks_the_suites_are_drawn(bench, tmp_path):
    params = bench.params.model_copy(update={"attacks": {}})
    inputs = {"model": bench.folder / "models/base"}
    figures = evaluate.run(StageContext(params, inputs, {"evaluation": tmp_path / "base"}, "base"))
    assert {name.partition("@")[2] for name in figures} == set(SUITES[:-1])
    (variant,) = read_variants(tmp_path, ["base"])
    assert variant.provenance["attacks"] == {}


def test_figures_are_the_shares_of_the_records(bench):
    figures = bench.run("base", into="again")
    records = [record for record in _records(bench, "base") if record["suite"] == "unrelated"]
    assert set(figures) == {f"{n}@{s}" for n in ("flagged", "kept", "correct", "readable") for s in SUITES}
    assert figures["correct@unrelated"] == np.mean([record["correct"] for record in records])


def test_a_judge_gets_prompts_of_other_suites_except_those_that_fit_the_picture_too(bench, monkeypatch):
    rivals_of = {}

    def judge(self, seen, prompts, rivals):
        rivals_of[frozenset(prompts)] = set(rivals)
        return [PictureVerdict(False, True, True, True)] * len(prompts)

    kind = type(judging.load_judge(bench.params.evaluate.judge, bench.params.compute))
    monkeypatch.setattr(kind, "judge", judge)
    bench.run("base", into="rivals")
    suites = {name: frozenset(suite.prompts) for name, suite in bench.params.evaluate.suites.items()}
    broad, precise, neighbours, unrelated, unnamed, synonyms = (suites[name] for name in SUITES[:6])
    assert rivals_of == {
        broad: unrelated,
        precise: neighbours | unrelated,
        unnamed: neighbours | unrelated,
        synonyms: unrelated,
        neighbours: precise | unnamed | unrelated,
        unrelated: broad | precise | neighbours | unnamed | synonyms,
        frozenset(bench.params.concepts["badge"].prompts): unrelated,
    }


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes_and_draws_no_whole_block_twice(bench, monkeypatch, tmp_path):
    class Killed(BaseException):
        pass

    saved = []

    def save_ten(path, pixels):
        if len(saved) == 10:
            raise Killed
        saved.append(path)
        save_image(path, pixels)

    work = tmp_path / "work"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(judging, "save_image", save_ten)
        bench.run("anchored", into="stopped", work=work)
    assert not (bench.folder / "stopped/anchored").exists()

    asked = []

    def sample(model, requests, *rest, **options):
        asked.extend(requests)
        return original(model, requests, *rest, **options)

    original = judging.draw_pictures
    monkeypatch.setattr(judging, "draw_pictures", sample)
    bench.run("anchored", into="stopped", work=work)
    assert asked == [shot.request for shot in list_shots(bench.params, bench.folder / "attacks/base")][8:]
    assert sha256_of_folder(bench.folder / "stopped/anchored") == sha256_of_folder(bench.folder / "evaluation/anchored")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shards_in_any_number_and_order_leave_the_same_bytes(bench, monkeypatch, tmp_path, count):
    for fill in next(stage for stage in STAGES if stage.name == "evaluate").load_shards():
        for index in reversed(range(count)):
            inputs, shard = bench.inputs("anchored"), Shard(index, count)
            fill(StageContext(bench.params, inputs, unit="anchored", work=tmp_path, shard=shard))
    judge = type(judging.load_judge(bench.params.evaluate.judge, bench.params.compute))
    monkeypatch.setattr(judging, "draw_pictures", lambda *_, **__: pytest.fail("the shards left something to draw"))
    monkeypatch.setattr(judge, "see", lambda *_: pytest.fail("the shards left something to judge"))
    bench.run("anchored", into=f"shards-{count}", work=tmp_path)
    found = sha256_of_folder(bench.folder / f"shards-{count}/anchored")
    assert found == sha256_of_folder(bench.folder / "evaluation/anchored")


def test_a_wrong_judge_is_refused_before_a_shard_draws(bench, monkeypatch, tmp_path):
    judge = bench.params.evaluate.judge.model_copy(update={"digest": "sha256:" + "0" * 64})
    params = bench.params.model_copy(update={"evaluate": bench.params.evaluate.model_copy(update={"judge": judge})})
    monkeypatch.setattr(judging, "draw_pictures", lambda *_, **__: pytest.fail("something was drawn"))
    with pytest.raises(UserError, match="judge"):
        evaluate.draw(StageContext(params, bench.inputs("base"), unit="base", work=tmp_path, shard=Shard(0, 2)))


def test_provenance_holds_what_another_person_needs_and_nothing_of_this_machine(bench):
    text = (bench.folder / "evaluation/anchored/provenance.json").read_text()
    provenance = json.loads(text)
    assert provenance["model"] == bench.params.model.digest
    assert provenance["clip"] == bench.params.clip.digest
    assert provenance["judge"]["digest"] == bench.params.evaluate.judge.digest
    assert provenance["judge"]["threshold"] == bench.params.evaluate.judge.threshold
    assert provenance["sampler"] == bench.params.sampler.model_dump(mode="json")
    assert provenance["attacks"].keys() == {"reinverted"}
    assert provenance["weights_sha256"] == sha256_of_file(bench.folder / "models/anchored/weights.safetensors")
    assert "torch" in provenance["versions"]
    assert str(bench.folder.parent) not in text


def test_a_wrong_judge_is_refused_before_anything_is_drawn_and_leaves_the_earlier_evaluation(bench, monkeypatch):
    before = sha256_of_folder(bench.folder / "evaluation/base")
    judge = bench.params.evaluate.judge.model_copy(update={"digest": "sha256:" + "0" * 64})
    changed = bench.params.model_copy(update={"evaluate": bench.params.evaluate.model_copy(update={"judge": judge})})
    monkeypatch.setattr(judging, "draw_pictures", lambda *_, **__: pytest.fail("something was drawn"))
    with pytest.raises(UserError, match="judge"):
        Bench(changed, bench.folder).run("base")
    assert sha256_of_folder(bench.folder / "evaluation/base") == before


def test_rows_that_were_drawn_at_other_seeds_are_not_compared(bench, tmp_path):
    other = Bench(bench.params.model_copy(update={"seed": 1}), bench.folder)
    other.run("base", into="mixed")
    bench.run("anchored", into="mixed")
    with pytest.raises(UserError, match="other prompts or seeds than base"):
        read_variants(bench.folder / "mixed", ["base", "anchored"])
