from pathlib import Path

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.ledger import Totals
from hfi_core.feedback.statistics import Statistics, check_agreement
from hfi_core.metrics.intervals import Interval
from hfi_core.params import Agreement

FILE = Path("f.jsonl")


def _statistics(alpha: float | None, kind: str = "binary") -> Statistics:
    interval = None if alpha is None else Interval(alpha, alpha - 0.1, alpha + 0.1, 50)
    agreement = {"krippendorff_alpha": interval, "kendalls_w": None}
    if kind == "ranking":
        agreement = {"krippendorff_alpha": Interval(0.0, 0.0, 0.0, 9), "kendalls_w": interval}
    return Statistics(kind, Totals(100, 0, 2, False, 0), 50, 0, agreement, {}, None)


def _warning(statistics, warn_below=0.667, refuse_below=None):
    return check_agreement(statistics, Agreement(warn_below=warn_below, refuse_below=refuse_below), "badge", FILE)


def test_agreement_above_the_bar_is_nothing_to_speak_of():
    assert _warning(_statistics(0.667)) is None


def test_agreement_below_the_bar_is_named_with_its_interval_and_what_to_do():
    warning = _warning(_statistics(0.5))
    assert "badge: annotators agree too little: Krippendorff's alpha is 0.500 [0.400, 0.600]" in warning
    assert "feedback.agreement.warn_below 0.667" in warning and "hfi feedback stats" in warning


def test_below_the_lower_bar_it_is_refused():
    with pytest.raises(UserError, match=r"(?s)f\.jsonl: badge.*refuse_below requires 0\.6.*To fix this"):
        _warning(_statistics(0.5), refuse_below=0.6)
    assert "warn_below" in _warning(_statistics(0.6), refuse_below=0.6)


def test_a_ranking_is_held_against_its_concordance():
    assert _warning(_statistics(0.9, "ranking")) is None
    assert "Kendall's W is 0.300" in _warning(_statistics(0.3, "ranking"))


def test_agreement_that_cannot_be_estimated_is_warned_of_and_passes_no_threshold():
    assert "agreement is unknown" in _warning(_statistics(None))
    assert _warning(_statistics(None), warn_below=-1) is None
    with pytest.raises(UserError, match=r"(?s)agreement is unknown.*judged by several people"):
        _warning(_statistics(None), refuse_below=0.0)
