"""A scheduled pass that hangs, on a store or a server, ends and makes room for the next one."""

import pytest

_HANG = """
import importlib, socket, sys
name, at, pass_, *arguments = sys.argv[1:]
module = importlib.import_module(name)
assert getattr(module, pass_).timeout_seconds == module._MAX_SECONDS
setattr(module, at, lambda *_: socket.create_server(("127.0.0.1", 0)).accept())
print(getattr(module, pass_).with_options(timeout_seconds=1)(*arguments, return_state=True).name)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("flows.maintenance", "revive", "tend", "safeguard/project"),
        ("flows.promotions", "reconcile_promotions", "promotions"),
        ("flows.reevaluation", "evaluate_again", "reevaluate"),
    ],
    ids=lambda words: words[2],
)
def test_it_ends_in_time(fake_project, quick, words):
    assert fake_project.call("python", "-c", _HANG, *words, **quick).stdout.strip() == "TimedOut"
