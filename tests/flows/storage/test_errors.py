"""Which errors of AWS's library a later attempt may overcome, and which a person has to fix."""

import pytest
from botocore import exceptions as boto

from flows.storage.s3 import StorageUnreachable, as_user_error, make_client
from hfi_core.errors import UserError

PERSON = {
    "a mistyped profile": boto.ProfileNotFound(profile="prd"),
    "an expired sign-on": boto.UnauthorizedSSOTokenError(),
    "no sign-on": boto.SSOTokenLoadError(error_msg="no token"),
    "a sign-on that cannot be renewed": boto.TokenRetrievalError(provider="sso", error_msg="expired"),
    "a helper that fails": boto.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
    "a damaged file": boto.ConfigParseError(path="config"),
}
NETWORK = {
    "nobody listens": boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    "no answer": boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
    "closed": boto.ConnectionClosedError(endpoint_url="http://127.0.0.1:9"),
    "cut off": boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
}


@pytest.mark.parametrize("error", PERSON.values(), ids=PERSON)
def test_what_a_person_has_to_fix_is_an_error_at_once(error):
    with pytest.raises(UserError, match="To fix this") as raised, as_user_error("s3://b/", "Nothing is lost."):
        raise error
    assert not isinstance(raised.value, StorageUnreachable) and "attempts" not in str(raised.value)


@pytest.mark.parametrize("error", NETWORK.values(), ids=NETWORK)
def test_what_a_later_attempt_may_overcome_is_out_of_reach(error):
    with pytest.raises(StorageUnreachable, match="out of reach"), as_user_error("s3://b/", "Nothing is lost."):
        raise error


def test_a_client_with_a_mistyped_profile_names_it(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "prd")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(UserError, match="prd") as raised, as_user_error("s3://b/", "Nothing is lost."):
        make_client()
    assert not isinstance(raised.value, StorageUnreachable)
