"""Back to an earlier champion, in one command that waits for nothing."""

from threading import Thread

import pytest
from filelock import FileLock

from flows.releases.promotion import promote, roll_back
from hfi_core.errors import UserError
from tests.support.promoted import MODEL
from tests.support.waiting import wait_until


def test_rolling_back_walks_the_record_and_skips_what_was_deleted(registry):
    for version in ("1", "2"):
        promote(registry.params, version, by="Ada")
    promote(registry.params, "3", by="Ada", override="urgent")
    assert roll_back(registry.params, by="Grace").champion == "2"
    assert registry.tags("2")["promoted_by"] == "Grace"
    assert roll_back(registry.params).champion == "1"
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(registry.params)
    promote(registry.params, "3")
    registry.client.delete_model_version(MODEL, "1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(registry.params)


def test_a_roll_back_starts_from_the_alias_recorded_or_not(registry):
    promote(registry.params, "1")
    registry.move("2")
    registry.reconcile()
    registry.move("3")
    assert roll_back(registry.params, by="Ada").champion == "2", "version 3 was never champion"
    assert registry.tags("2")["promoted_by"] == "not told", "Ada did not promote it"
    registry.move("1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(registry.params)
    assert registry.champion == "1"


def _down(release, name):
    raise UserError("s3://bucket cannot be reached.")


def test_a_roll_back_moves_the_alias_before_anything_that_may_fail_or_take_long(registry):
    for version in ("1", "2"):
        promote(registry.params, version)
    registry.client.set_model_version_tag(MODEL, "3", "override", "urgent")
    registry.move("3")
    assert roll_back(registry.params, publish=_down).champion == "2", "what is pending need not be published first"
    with pytest.raises(UserError, match=r"(?s)is at version 1 now, but that is neither published .* cannot be reached"):
        roll_back(registry.params, publish=_down)
    assert registry.champion == "1"
    assert registry.reconcile().outcome == "promoted"


def test_a_roll_back_does_not_wait_for_a_pass_that_publishes(registry, capsys):
    for version in ("1", "2"):
        promote(registry.params, version)
    with FileLock((registry.project.folder / ".hfi/promotions.lock").absolute()):
        rolling = Thread(target=roll_back, args=(registry.params,))
        rolling.start()
        wait_until(lambda: registry.champion == "1")
        assert rolling.is_alive()
        assert "promotion.0003" not in registry.tags("1")
    rolling.join()
    assert "is at version 1 now. Another pass is at work" in capsys.readouterr().err
    assert registry.reconcile().outcome == "unchanged"
