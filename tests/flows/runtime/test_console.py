"""Progress without a terminal, and formats of durations and sizes."""

from types import SimpleNamespace

import pytest

from flows.runtime import console


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_lines_come_at_most_every_few_seconds_with_an_estimate(clock, capsys):
    with console.show_progress("distill@anchored") as progress:
        for done in range(101):
            clock.seconds = done * 0.5
            progress(done, 100, "removing")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "distill@anchored: started"
    assert lines[1] == "distill@anchored: removing 10/100, about 45.0 s left"
    assert lines[-1] == "distill@anchored: done in 50.0 s"
    assert len(lines) == 2 + 9


def test_each_part_of_a_stage_has_its_own_estimate(clock, capsys):
    with console.show_progress("evaluate@base") as progress:
        progress(0, 10, "drawing")
        clock.seconds = 100
        progress(0, 10, "judging")
        clock.seconds = 106
        progress(1, 10, "judging")
    assert "evaluate@base: judging 1/10, about 54.0 s left" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "text"), [(4.2, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_for_people(seconds, text):
    assert console.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**31, "2.0 GiB"), (2**51, "2048.0 TiB")]
)
def test_sizes_are_for_people(count, text):
    assert console.format_bytes(count) == text
