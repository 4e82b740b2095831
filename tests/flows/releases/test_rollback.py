"""Back to an earlier champion, in one command that waits for nothing."""

import time
from threading import Thread

import pytest
from filelock import FileLock

from flows.releases.promotion import promote, roll_back
from hfi_core.errors import UserError
from tests.support.promoted import MODEL


def test_rolling_back_walks_the_record_and_skips_what_was_deleted(here):
    for version in ("1", "2"):
        promote(here.params, version, by="Ada")
    promote(here.params, "3", by="Ada", override="urgent")
    assert roll_back(here.params, by="Grace").champion == "2"
    assert here.tags("2")["promoted_by"] == "Grace"
    assert roll_back(here.params).champion == "1"
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)
    promote(here.params, "3")
    here.client.delete_model_version(MODEL, "1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)


def test_a_roll_back_goes_from_where_the_alias_is_settled_or_not(here):
    promote(here.params, "1")
    here.move("2")
    here.settle()
    here.move("3")
    assert roll_back(here.params, by="Ada").champion == "2", "version 3 was never champion"
    assert here.tags("2")["promoted_by"] == "not told", "Ada did not promote it"
    here.move("1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)
    assert here.champion == "1"


def _down(release, name):
    raise UserError("s3://bucket cannot be reached.")


def test_a_roll_back_moves_the_alias_before_anything_that_may_fail_or_take_long(here):
    for version in ("1", "2"):
        promote(here.params, version)
    here.client.set_model_version_tag(MODEL, "3", "override", "urgent")
    here.move("3")
    assert roll_back(here.params, publish=_down).champion == "2", "what is pending need not be published first"
    with pytest.raises(UserError, match=r"(?s)is at version 1 now, but that is neither published .* cannot be reached"):
        roll_back(here.params, publish=_down)
    assert here.champion == "1"
    assert here.settle().found == "promoted"


def test_a_roll_back_does_not_wait_for_a_pass_that_publishes(here, capsys):
    for version in ("1", "2"):
        promote(here.params, version)
    with FileLock((here.project.folder / ".hfi/promotions.lock").absolute()):
        rolling = Thread(target=roll_back, args=(here.params,))
        rolling.start()
        until = time.monotonic() + 30
        while here.champion != "1" and time.monotonic() < until:
            time.sleep(0.05)
        assert here.champion == "1" and rolling.is_alive()
        assert "promotion.0003" not in here.tags("1")
    rolling.join()
    assert "is at version 1 now. Another pass is at work" in capsys.readouterr().err
    assert here.settle().found == "settled"
