"""The address from which plug-ins import. test_architecture.py checks that importing it does not load torch."""

import pytest

from hfi_core import judges
from hfi_core.judges import base


def test_the_package_exports_what_a_plug_in_needs():
    for name in ("Judge", "PictureVerdict", "load_judge"):
        assert getattr(judges, name) is getattr(base, name)


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'Verdict'"):
        _ = judges.Verdict
