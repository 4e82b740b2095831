"""Concurrent callers share one computation; an invalidated value is computed again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hfi_core.annotation.service import review_stats
from hfi_core.annotation.service.single_flight import SingleFlight
from tests.support.annotation_app import open_annotation_app
from tests.support.annotation_server import write_project

PATIENCE = 20


class Slow:
    """Computes 1, 2, ... once the event `go` is set."""

    def __init__(self):
        self.begun, self.go, self.times = threading.Semaphore(0), threading.Event(), 0

    def __call__(self) -> int:
        self.times += 1
        value = self.times
        self.begun.release()
        assert self.go.wait(PATIENCE)
        return value


def test_all_who_ask_meanwhile_get_one_computation_however_long_it_takes():
    shared, slow = SingleFlight(PATIENCE), Slow()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(shared.get, "badge", slow) for _ in range(8)]
        assert slow.begun.acquire(timeout=PATIENCE)
        slow.go.set()
        assert [one.result(PATIENCE) for one in asked] == [1] * 8
    assert shared.get("badge", slow) == 1 and shared.get("other", slow) == 2
    stale = SingleFlight(-1.0)
    assert [stale.get("badge", slow) for _ in range(2)] == [3, 4]


def test_who_asks_after_a_change_is_not_served_by_what_was_begun_before_it():
    shared, slow = SingleFlight(PATIENCE), Slow()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(shared.get, "badge", slow)
        assert slow.begun.acquire(timeout=PATIENCE)
        shared.invalidate("badge")
        after = pool.submit(shared.get, "badge", slow)
        assert slow.begun.acquire(timeout=PATIENCE)
        slow.go.set()
        assert (before.result(PATIENCE), after.result(PATIENCE)) == (1, 2)
    assert shared.get("badge", slow) == 2


def test_a_failure_reaches_who_asked_and_the_next_one_tries_anew():
    shared = SingleFlight(PATIENCE)
    with pytest.raises(ZeroDivisionError):
        shared.get("badge", lambda: 1 // 0)
    assert shared.get("badge", lambda: 1) == 1


def test_leads_who_look_at_once_have_the_agreement_computed_once(tmp_path, monkeypatch):
    seen, agreement = [], review_stats.estimate_agreement
    monkeypatch.setattr(review_stats, "estimate_agreement", lambda *given: seen.append(1) or agreement(*given))
    with open_annotation_app(write_project(tmp_path / "project")) as annotation_app:
        leads = [annotation_app.sign_in(f"Lea {n}") for n in range(4)]
        with ThreadPoolExecutor(4) as pool:
            assert [one.status_code for one in pool.map(lambda lead: lead.get("/review"), leads)] == [200] * 4
        assert len(seen) == 1
