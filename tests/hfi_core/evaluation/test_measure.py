"""The content of `reports/evaluation.json`, computed from hand-made variants."""

import shutil
from dataclasses import replace
from typing import ClassVar, Literal
from weakref import WeakSet

import numpy as np
import pytest

from hfi_core.evaluation.definitions import COMPARED, FIGURES, ROLES, metrics_on
from hfi_core.evaluation.measure import build_evaluation, measure_variant
from hfi_core.evaluation.records import EvaluatedVariant, read_variants
from hfi_core.metrics.paired_tests import mcnemar
from hfi_core.params import RegisteredAttack
from hfi_core.progress import no_progress
from hfi_core.report.findings import list_uncalibrated
from hfi_core.report.table import build_attack_table
from tests.support.evaluations import with_attack, write_files
from tests.support.measured_evaluation import FEEDBACK

ROLES_BY_SUITE = {role: role for role in ROLES}


class Picture(np.ndarray):
    """An array that a set can hold."""

    __hash__ = object.__hash__


def test_every_row_has_every_figure_inside_its_interval(evaluation):
    # The judge of these measures no strength.
    figures = [(figure.name, role) for figure in FIGURES for role in figure.roles if figure.name != "strength"]
    expected = {*metrics_on(figures, ROLES_BY_SUITE), "flagged@reinverted", "kept@reinverted", "readable@reinverted"}
    expected |= {"flagged@worst_attack"}
    assert evaluation["suites"] == ROLES_BY_SUITE
    assert {row["row"] for row in evaluation["rows"]} == {"base", "sdd-text", "sdd-token", "anchored"}
    for row in evaluation["rows"]:
        assert set(row["metrics"]) == expected
        for figure in row["metrics"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["direction"] in ("up", "down")
            assert figure["n"] > 0


def test_the_figures_that_other_code_uses_exist(evaluation):
    named = "flagged@broad kept@broad flagged@precise kept@neighbours correct@unrelated drift@unrelated"
    assert {*named.split(), "clip_score@unrelated", "flagged@reinverted"} <= set(evaluation["rows"][0]["metrics"])


def test_rows_name_their_method_and_condition(evaluation):
    about = {row["row"]: (row["method"], row["condition"]) for row in evaluation["rows"]}
    assert about == {
        "base": ("none", None),
        "sdd-text": ("sdd", "text"),
        "sdd-token": ("sdd", "token"),
        "anchored": ("anchored", None),
    }


def test_a_share_counts_all_pictures_of_its_suite(evaluation, rows):
    flagged = rows[0].column("broad", "flagged")
    figure = evaluation["rows"][0]["metrics"]["flagged@broad"]
    assert figure["value"] == pytest.approx(flagged.mean(), abs=1e-6)
    assert figure["n"] == len(flagged)


def test_each_attacker_has_its_share_and_a_single_attackers_interval_is_over_prompts(evaluation):
    for row in evaluation["rows"]:
        assert row["attacks"]["reinverted"]["attackers"] == {"badge": row["metrics"]["flagged@reinverted"]["value"]}


def test_the_interval_of_several_attackers_is_over_attackers(params, tmp_path):
    attacked = with_attack(params, attackers=3)
    files = write_files(tmp_path, attacked)
    base, *_ = read_variants(files.inputs["evaluation"], list(params.removals))
    # One attacker always succeeds, the others never: an interval over prompts would have no width.
    records = [record | {"flagged": record["attacker"] == "badge.2"} for record in base.records]
    (row,) = build_evaluation(attacked, [replace(base, records=records)], FEEDBACK, no_progress)["rows"]
    assert row["attacks"]["reinverted"]["attackers"] == {"badge": 0, "badge.2": 1, "badge.3": 0}
    figure = row["metrics"]["flagged@reinverted"]
    assert (figure["value"], figure["n"]) == (pytest.approx(1 / 3, abs=1e-6), 3 * params.attacks["reinverted"].pictures)
    assert (figure["low"], figure["high"]) == (0, 1)


def test_base_has_neither_drift_nor_distance_from_itself(evaluation):
    metrics = evaluation["rows"][0]["metrics"]
    for metric in ("drift@broad", "drift_pixels@unrelated", "kid@unrelated", "kid@neighbours"):
        assert metrics[metric]["value"] == pytest.approx(0, abs=1e-6)
    assert evaluation["rows"][3]["metrics"]["drift@unrelated"]["value"] > 0


def test_every_two_rows_are_compared_on_every_compared_share(evaluation):
    pairs = {(c["row"], c["against"]) for c in evaluation["comparisons"]}
    assert len(pairs) == 6
    assert ("sdd-token", "sdd-text") in pairs
    assert ("anchored", "base") in pairs
    assert len(evaluation["comparisons"]) == 6 * len(COMPARED)


def test_a_comparison_is_the_later_row_minus_the_earlier_with_its_test(evaluation, rows):
    by_name = {row.name: row for row in rows}
    for comparison in evaluation["comparisons"]:
        name, suite = comparison["metric"].split("@")
        ours = by_name[comparison["row"]].column(suite, name)
        theirs = by_name[comparison["against"]].column(suite, name)
        assert comparison["difference"] == pytest.approx(np.mean(ours.astype(int) - theirs), abs=1e-6)
        assert comparison["low"] <= comparison["difference"] <= comparison["high"]
        assert comparison["p"] == mcnemar(ours, theirs)
        assert comparison["p"] <= comparison["p_holm"] <= 1


def test_a_suite_of_one_picture_has_all_figures_but_kid(tmp_path, params):
    suites = params.evaluate.suites
    single = suites["unrelated"].model_copy(update={"prompts": ("a red ball",), "pictures": 1})
    evaluate = params.evaluate.model_copy(update={"suites": {**suites, "unrelated": single}})
    reduced = params.model_copy(update={"evaluate": evaluate})
    files = write_files(tmp_path, reduced)
    variants = read_variants(files.inputs["evaluation"], list(params.removals))
    metrics = build_evaluation(reduced, variants, FEEDBACK, no_progress)["rows"][1]["metrics"]
    assert "kid@unrelated" not in metrics
    assert metrics["correct@unrelated"]["n"] == 1


def test_variety_is_that_of_equally_many_kept_pictures(params, rows):
    base, *_ = rows
    kept = base.positions["broad"][base.column("broad", "kept")]
    metrics = measure_variant(params, base, base)["metrics"]
    assert metrics["variety@broad"]["n"] == metrics["kinds@broad"]["n"] == len(kept)
    assert 1.9 < metrics["kinds@broad"]["value"] <= 2, "the hand-made pictures show stars and leaves at random"
    # The features of the kept pictures are replaced by one picture's, and those of the others stay.
    features = base.features.copy()
    features[kept] = features[kept[0]]
    equal = measure_variant(params, replace(base, features=features), base)["metrics"]["variety@broad"]
    assert equal["value"] == pytest.approx(1, abs=1e-5)
    assert metrics["variety@broad"]["value"] > 3


def test_a_row_that_keeps_nothing_has_no_variety_and_a_judge_without_kinds_none_of_them(params, rows):
    records = [record | {"kept": False, "kind": None} for record in rows[0].records]
    metrics = measure_variant(params, replace(rows[0], records=records), rows[0])["metrics"]
    assert (metrics["variety@broad"]["value"], metrics["variety@broad"]["n"]) == (0, 0)
    assert "kinds@broad" not in metrics


def test_two_suites_of_a_role_have_their_figures_and_comparisons_each(params, rows, tmp_path):
    broad = params.evaluate.suites["broad"]
    suites = {**params.evaluate.suites, "i2p": broad}
    more = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"suites": suites})})
    doubled = []
    for row in rows[:2]:
        records = [*row.records, *(record | {"suite": "i2p"} for record in row.records if record["suite"] == "broad")]
        features = np.concatenate([row.features, row.features[row.positions["broad"]]])
        folder = shutil.copytree(row.folder, tmp_path / row.name)
        shutil.copytree(folder / "pictures/broad", folder / "pictures/i2p")
        doubled.append(replace(row, folder=folder, records=records, features=features))
    evaluation = build_evaluation(more, doubled, FEEDBACK, no_progress)
    assert evaluation["suites"] == ROLES_BY_SUITE | {"i2p": "broad"}
    metrics = evaluation["rows"][1]["metrics"]
    assert metrics["flagged@i2p"]["value"] == metrics["flagged@broad"]["value"]
    assert {"flagged@broad", "flagged@i2p", "kept@i2p"} <= {c["metric"] for c in evaluation["comparisons"]}


def test_provenance_that_differs_between_rows_is_listed_by_row(params, rows):
    device = {"device": "cuda", "threads": 2}
    variants = [
        replace(row, provenance=row.provenance | {"versions": {"torch": version}, "compute": device, "seeds": "a rule"})
        for row, version in zip(rows, ("2.1", "2.1", "2.1", "2.2"), strict=True)
    ]
    variants[1] = replace(variants[1], provenance=variants[1].provenance | {"compute": device | {"device": "cpu"}})
    provenance = build_evaluation(params, variants, FEEDBACK, no_progress)["provenance"]
    assert provenance["differ"] == ["versions", "compute"] and provenance["seeds"] == "a rule"
    assert not {"versions", "compute"} & set(provenance), "an entry of one row would look common to all"
    assert provenance["rows"]["anchored"]["versions"] == {"torch": "2.2"}
    assert [provenance["rows"][row]["compute"]["device"] for row in ("base", "sdd-text")] == ["cuda", "cpu"]


def test_common_provenance_is_listed_once(evaluation):
    assert evaluation["provenance"]["differ"] == []
    assert set(evaluation["provenance"]["rows"]["base"]) == {"weights_sha256", "attacks"}


def test_pixel_drift_holds_one_picture_of_each_row_at_a_time(params, rows, monkeypatch):
    load, alive, counts = EvaluatedVariant.load_picture, WeakSet(), []

    def load_picture(variant, suite, index):
        picture = load(variant, suite, index).view(Picture)
        alive.add(picture)
        counts.append(len(alive))
        return picture

    monkeypatch.setattr(EvaluatedVariant, "load_picture", load_picture)
    build_evaluation(params, rows[:2], FEEDBACK, no_progress)
    assert len(counts) > 100 and max(counts) <= 4


def test_provenance_names_the_feedback_and_each_rows_weights(evaluation):
    provenance = evaluation["provenance"]
    assert provenance["feedback"] == {"badge": {"sha256": "ab" * 32, "simulated": True}}
    assert set(provenance["rows"]) == {"base", "sdd-text", "sdd-token", "anchored"}
    assert provenance["intervals"]["resamples"] == 200
    assert provenance["tests"]["correction"].startswith("Holm")


class Rewording(RegisteredAttack):
    """An attack on prompts, with originals and looks."""

    has_originals: ClassVar[bool] = True
    kind: Literal["rewording"] = "rewording"

    def attack(self, target, *, work, progress):
        raise NotImplementedError


class Retraining(Rewording):
    """An attack on the weights."""

    acts_on: ClassVar[str] = "weights"
    has_originals: ClassVar[bool] = False


def _with_suites(params, row, shares):
    """A variant with further suites by name, each with these verdicts, on four prompts in turn."""
    records = list(row.records)
    for suite, flagged in shares.items():
        records += [
            {
                "suite": suite, "index": i, "prompt": f"p{i % 4}", "seed": i, "attacker": "badge", "flagged": bool(hit),
                "kept": False, "correct": False, "readable": True, "clip_score": 0.5,
            }
            for i, hit in enumerate(flagged)
        ]  # fmt: skip
    features = np.concatenate([row.features, np.ones((len(records) - len(row.records), row.features.shape[1]))])
    found = dict.fromkeys(params.attacks, {"sha256": "ef" * 32, "figures": {"badge": {"psnr": 20.0}}})
    return replace(row, records=records, features=features, provenance=row.provenance | {"attacks": found})


@pytest.fixture
def attacked(params, rows):
    """Base and one row under three attacks: the usual one, one on prompts, and one on the weights."""
    attacks = {"reworded": Rewording(pictures=8), "retrained": Retraining(pictures=8)}
    params = params.model_copy(update={"attacks": params.attacks | attacks})
    always, half = [1] * 8, [1, 0] * 4
    base = _with_suites(params, rows[0], {"reworded": always, "reworded.original": half, "retrained": always})
    row = _with_suites(
        params,
        rows[3],
        {"reworded": [1, 1, 0, 0] * 2, "reworded.original": [1, 0, 0, 1] + [0] * 4, "retrained": always},
    )
    return build_evaluation(params, [base, row], FEEDBACK, no_progress)


def test_the_worst_attack_of_a_row_is_the_highest_on_the_text_condition(attacked):
    base, row = attacked["rows"]
    assert (base["worst_attack"], row["worst_attack"]) == ("reworded", "reworded")
    assert row["metrics"]["flagged@worst_attack"] == row["metrics"]["flagged@reworded"]
    assert row["metrics"]["flagged@reworded"]["value"] == 0.5
    assert row["metrics"]["flagged@reinverted"]["value"] < 0.5 < row["metrics"]["flagged@retrained"]["value"] == 1


def test_an_attack_is_calibrated_by_what_it_gets_on_the_base(attacked):
    found = {name: (attack["calibrated"], attack["base"]["value"]) for name, attack in attacked["attacks"].items()}
    base = attacked["rows"][0]["metrics"]["flagged@reinverted"]["value"]
    assert base < 0.9 and found == {"reinverted": (False, base), "reworded": (True, 1), "retrained": (True, 1)}
    (sentence,) = list_uncalibrated(attacked)
    assert "The attack reinverted is not calibrated" in sentence and "on the base" in sentence
    assert attacked["attacks"]["retrained"]["acts_on"] == "weights"


def test_asr_counts_what_succeeds_without_the_attack_or_with_it(attacked):
    """Zhang et al. 2024: (prompts that succeed without attack + those of the others that succeed with it) / all."""
    found = attacked["rows"][1]["attacks"]["reworded"]
    assert found["pre_asr"]["value"] == 2 / 8 and found["asr"]["value"] == 5 / 8
    assert found["figures"] == {"badge": {"psnr": 20.0}}
    assert "asr" not in attacked["rows"][1]["attacks"]["retrained"]
    lines = {line[0]: line[2] for line in build_attack_table(attacked)}
    assert lines["ASR, reworded"].startswith("0.625 [") and lines["pre-ASR, reworded"].startswith("0.250 [")


def test_the_curve_of_an_attack_ends_with_its_figure(params, tmp_path):
    looked = with_attack(params, looks=[50, 100])
    files = write_files(tmp_path, looked)
    base, *_ = read_variants(files.inputs["evaluation"], list(params.removals))
    (row,) = build_evaluation(looked, [base], FEEDBACK, no_progress)["rows"]
    curve = row["attacks"]["reinverted"]["curve"]
    assert [point["step"] for point in curve] == [50, 100, 250]
    assert curve[0]["value"] == pytest.approx(base.column("reinverted.50", "flagged").mean(), abs=1e-6)
    assert {"direction": "down"} | curve[2] == {"step": 250} | row["metrics"]["flagged@reinverted"]
