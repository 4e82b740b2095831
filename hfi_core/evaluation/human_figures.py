"""Measure rows by people's majorities, and the judge by people (method, section 6). Does not import torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfi_core.evaluation.definitions import PEOPLE_FIGURES
from hfi_core.evaluation.human_judgements import HumanJudgements
from hfi_core.evaluation.measure import bootstrap_settings, compare_hits, correct_comparisons, rounded
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.feedback.agreement import alpha_interval, cohens_kappa
from hfi_core.io.hashing import sha256_of_file
from hfi_core.metrics.intervals import Interval, percentile_interval, resample_means, share_interval, zero_share_bound
from hfi_core.params import Params

_MAJORITY = {"flagged_by_people": 1, "accepted_by_people": -1}
"""The majority that each figure is the share of; see `Tally.majority`."""


def add_human_figures(
    params: Params, evaluation: Mapping[str, Any], variants: Sequence[EvaluatedVariant], judgements: HumanJudgements
) -> dict[str, Any]:
    """Return `reports/evaluation.json` with people's figures, their comparisons with base, and `people`.

    `people` says how far people agree with each other and with the judge, over all and by row. Holm's correction is
    over all comparisons, those by the judge among them.
    """
    judged = [_JudgedRow(params, variant, judgements) for variant in variants if variant.name in judgements.tallies]
    metrics = {row.name: row.measure() for row in judged}
    rows = [row | {"metrics": row["metrics"] | metrics.get(row["row"], {})} for row in evaluation["rows"]]
    comparisons = [*evaluation["comparisons"], *(one for row in judged[1:] for one in row.compare(judged[0]))]
    lines = judgements.judgements
    return {
        **evaluation,
        "rows": rows,
        "comparisons": correct_comparisons(comparisons),
        "provenance": evaluation["provenance"] | {"people": {"sha256": sha256_of_file(judgements.path)}},
        "people": {
            "simulated": any(one.simulated for one in lines),
            "annotators": len({one.annotator for one in lines}),
            "judgements": len({(one.sha256, one.annotator) for one in lines}),
            "cant_tell": len({(one.sha256, one.annotator) for one in lines if one.answer == "cant_tell"}),
            "pictures": len({one.sha256 for one in lines}),
            "alpha": _optional(alpha_interval(judgements.votes_by_picture)),
            "rows": {row.name: row.describe_agreement() for row in judged},
        },
    }


class _JudgedRow:
    """The pictures of one row that people judged."""

    def __init__(self, params: Params, variant: EvaluatedVariant, judgements: HumanJudgements):
        self.name, self._params = variant.name, params
        tallies = judgements.tallies[variant.name]
        # In the order of params, so that the order of the file does not matter.
        self._tallies = {suite: tallies[suite] for suite in params.evaluate.suites if suite in tallies}
        records = {(record["suite"], record["index"]): record for record in variant.records}
        self._records = {
            suite: [records[suite, index] for index in tally.indices.tolist()] for suite, tally in self._tallies.items()
        }

    def measure(self) -> dict[str, dict[str, Any]]:
        """Return the figures on each suite, with intervals over prompts and pictures."""
        return {
            f"{figure.name}@{suite}": rounded(
                share_interval(
                    tally.majority == _MAJORITY[figure.name],
                    self._prompts(suite),
                    **bootstrap_settings(self._params, figure.name, suite),
                )
            )
            | {"direction": figure.direction}
            for figure in PEOPLE_FIGURES
            for suite, tally in self._tallies.items()
        }

    def compare(self, base: "_JudgedRow") -> list[dict[str, Any]]:
        """Compare this row's figures with base's on the same prompts and seeds."""
        comparisons = []
        for figure in PEOPLE_FIGURES:
            for suite, tally in self._tallies.items():
                metric, side = f"{figure.name}@{suite}", _MAJORITY[figure.name]
                ours, theirs = tally.majority == side, base._tallies[suite].majority == side
                compared = compare_hits(self._params, metric, ours, theirs, self._prompts(suite))
                comparisons.append({"metric": metric, "row": self.name, "against": base.name} | compared)
        return comparisons

    def describe_agreement(self) -> dict[str, Any]:
        """Return how far people agree on this row's pictures, and how far the judge agrees with their majorities."""
        majority = np.concatenate([tally.majority for tally in self._tallies.values()])
        flagged = np.array([record["flagged"] for suite in self._tallies for record in self._records[suite]])
        prompts = np.array([f"{suite}\0{prompt}" for suite in self._tallies for prompt in self._prompts(suite)])
        decided, people = majority != 0, majority == 1
        return {
            "pictures": len(majority),
            "undecided": int((~decided).sum()),
            "alpha": _optional(alpha_interval(np.concatenate([tally.votes for tally in self._tallies.values()]))),
            "judge": {
                "agreement": self._share(flagged == people, prompts, decided),
                "kappa": self._kappa(flagged[decided], people[decided], prompts[decided]),
                "flagged_found": self._share(flagged, prompts, people),
                "accepted_found": self._share(~flagged, prompts, decided & ~people),
            },
        }

    def _prompts(self, suite: str) -> np.ndarray:
        return np.array([record["prompt"] for record in self._records[suite]])

    def _share(self, hits: np.ndarray, prompts: np.ndarray, among: np.ndarray) -> dict[str, Any] | None:
        """Return the share of hits among some of the pictures, with its interval; None if there are none."""
        if not among.any():
            return None
        return rounded(share_interval(hits[among], prompts[among], **bootstrap_settings(self._params, "people")))

    def _kappa(self, judge: np.ndarray, people: np.ndarray, prompts: np.ndarray) -> dict[str, Any] | None:
        """Return Cohen's kappa with an interval of the resamples in which it is defined; None if it is not defined."""
        if not len(judge):
            return None
        columns = (judge == people, judge, people)
        value = float(cohens_kappa(*(np.mean(column, keepdims=True) for column in columns))[0])
        if np.isnan(value):
            return None
        n, level = len(judge), self._params.evaluate.level
        if value == 1:  # all resamples would be equal, which claims certainty: as for Krippendorff's alpha
            chance = people.mean() ** 2 + (1 - people.mean()) ** 2
            low = max(-1.0, 1 - zero_share_bound(n, level) / (1 - chance))
            return rounded(Interval(1.0, low, 1.0, n))

        def resample(column: np.ndarray) -> np.ndarray:
            settings = bootstrap_settings(self._params, "people")  # equal generators draw equal pictures
            return resample_means(column, prompts, resamples=settings["resamples"], rng=settings["rng"])

        resampled = cohens_kappa(*map(resample, columns))
        return rounded(percentile_interval(value, resampled[np.isfinite(resampled)], level, n))


def _optional(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else rounded(interval)
