"""The server and Ana's requests for the `project` of a test file."""

import pytest

from tests.support.annotation_requests import ApiClient, create_test_app


@pytest.fixture
def app(project, store):
    """The annotation server of the project."""
    return create_test_app(project, store)


@pytest.fixture
def api(app):
    """The requests of Ana, who has signed in and consented."""
    return ApiClient(app)
