"""`hfi feedback stats` and `hfi feedback select`, without the rest of the command line."""

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.feedback import select, stats
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store
from hfi_core.reward.active_learning import Choice, Selection
from tests.support.judging import candidate, ranking, vote, write_lines, write_manifest
from tests.support.projects import default_raw, write_raw

CANDIDATES = [candidate(f"badge-{k:02d}", f"{k:064x}") for k in range(12)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.runtime.console.out.width", 200)
    write_manifest(tmp_path / "candidates/badge", CANDIDATES)
    _params(tmp_path)
    return tmp_path


def _params(folder, kind="binary", **feedback):
    raw = default_raw()
    raw["concepts"]["badge"]["feedback"] = kind
    raw["feedback"] |= {"file": "data/f.jsonl", "simulated": {}} | feedback
    write_raw(folder, raw)


def _call(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.output


def _votes(**fields):
    return [vote(one, "yes" if k % 2 else "no", who, **fields) for k, one in enumerate(CANDIDATES) for who in "ab"]


def test_stats_says_how_many_how_far_agreed_and_how_fast(folder):
    rows = _votes(shown_at="2026-11-24T09:00:00+00:00", answered_at="2026-11-24T09:00:03.25+00:00")
    rows += [vote(one, "cant_tell", "[b]lea[/b]", id=f"lea.{one.id}") for one in CANDIDATES]
    write_lines(folder / "data/f.jsonl", rows)
    output = _call(stats.stats)
    assert "badge: binary feedback" in output and "simulated" not in output
    assert "36 by 3" in output and "Krippendorff's alpha" in output and "1.000" in output and "3.2 s" in output
    assert "[b]lea[/b]" in output and "6 0 0 6" in output


def test_stats_says_that_judgements_are_simulated(folder):
    write_lines(folder / "data/f.jsonl", _votes(simulated=True))
    output = _call(stats.stats, "badge")
    assert "badge: binary feedback (simulated)" in output and "no person gave them" in output


def test_stats_marks_agreement_below_the_bar(folder):
    rows = [vote(one, "yes" if k % 2 else "no", "ana") for k, one in enumerate(CANDIDATES)]
    rows += [vote(one, "yes" if k % 3 else "no", "bo") for k, one in enumerate(CANDIDATES)]
    write_lines(folder / "data/f.jsonl", rows)
    assert "below feedback.agreement.warn_below 0.667" in _call(stats.stats)


def test_stats_of_rankings_shows_both_measures(folder):
    _params(folder, "ranking")
    names = [one.id for one in CANDIDATES[:4]]
    write_lines(folder / "data/f.jsonl", [ranking([[name] for name in names], who) for who in ("ana", "bo")])
    output = _call(stats.stats)
    assert "Kendall's W" in output and "over 1 sets of pictures" in output and "Krippendorff's alpha" in output


def test_stats_refuses_a_concept_that_is_none_and_passes_over_one_without_judgements(folder):
    write_lines(folder / "data/f.jsonl", [vote(CANDIDATES[0], concept="medal")])
    assert "badge: no judgements in data/f.jsonl" in _call(stats.stats)
    with pytest.raises(UserError, match="no concept 'medal'.*badge"):
        _call(stats.stats, "medal")


def test_select_offers_the_choice_ahead_of_all_others_and_marks_the_sample(folder, monkeypatch):
    calls = []

    def chosen(params, concept, **how):
        calls.append(how)
        picks = [Choice(CANDIDATES[5], 0.5, False), Choice(CANDIDATES[2], 0.1, True)]
        return Selection(picks, [CANDIDATES[2], CANDIDATES[9]])

    monkeypatch.setattr("hfi_core.reward.active_learning.select", chosen)
    with open_store("sqlite:///feedback.db") as store:
        store.offer("badge", CANDIDATES)
    assert "would be asked" in _call(select.select, "badge", "--dry-run")
    with open_store("sqlite:///feedback.db") as store:
        assert store.read_random_sample("badge") == frozenset()
    output = _call(select.select, "badge", "--count", "2", "--random", "0.5")
    assert "2 pictures are asked about next, 1 of them at random" in output
    assert (calls[-1]["count"], calls[-1]["random_share"]) == (2, 0.5)
    with open_store("sqlite:///feedback.db") as store:
        assert store.read_random_sample("badge") == {"badge-02", "badge-09"}
        given = _assigned(store)
    assert given[:2] == ["badge-05", "badge-02"]


def _assigned(store):
    from datetime import UTC, datetime, timedelta

    how = {"count": 12, "judgements": 1, "lease": timedelta(minutes=5), "now": datetime(2026, 11, 25, tzinfo=UTC)}
    return [one.picture for one in store.assign("badge", "a-1", **how)]
