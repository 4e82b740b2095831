"""Requests from other sites, under other host names and from strangers have no effect."""

import stat

import pytest
from starlette.testclient import TestClient

from hfi_core.annotation.security.middleware import MAX_BODY_BYTES
from hfi_core.annotation.security.sessions import read_signing_key
from tests.support.annotation_sign_in import LOCAL, PUBLIC, Browser, bare_app, make_account, public_app, sign_in


@pytest.fixture
def local(tmp_path):
    browser = Browser(bare_app(tmp_path))
    assert browser.fill("/sign-in", name="Ana").status_code == 303
    return browser


def test_at_ones_own_machine_a_name_is_asked_for_once(tmp_path):
    browser = Browser(bare_app(tmp_path))
    asked = browser.get("/", headers={"accept": "text/html"})
    assert asked.status_code == 303 and asked.headers["location"] == "/sign-in?next=%2F"
    assert browser.get("/").status_code == 401
    browser.fill("/sign-in", name="  Ana   B ")
    assert browser.get("/").json() | {"csrf": ""} == {"name": "Ana B", "role": "lead", "csrf": ""}
    # The key outlives the server, so an open page goes on after a restart.
    name, value = browser.cookie
    again = TestClient(bare_app(tmp_path), base_url=LOCAL, cookies={name: value})
    assert again.get("/").json()["name"] == "Ana B"


def test_the_signing_key_is_readable_by_its_owner_only(tmp_path):
    assert read_signing_key(tmp_path / "new") == read_signing_key(tmp_path / "new")
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(path.read_bytes()) == 32


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8484", "0.0.0.0", "", "a b", "[::2]"]
)
def test_a_name_that_was_bound_to_this_machine_from_outside_is_refused(local, host):
    """DNS rebinding: the browser speaks to 127.0.0.1 and believes itself at evil.example."""
    assert local.get("/", headers={"Host": host}).status_code == 400
    assert local.get("/sign-in", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8484", "localhost", "LOCALHOST:1", "[::1]:8484"])
def test_every_name_of_this_machine_is_known(local, host):
    assert local.get("/sign-in", headers={"Host": host}).status_code in (200, 303)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
def test_a_page_without_accounts_that_somebody_put_behind_a_proxy_lets_nobody_in(local, header):
    answer = local.get("/", headers={header: "203.0.113.7"})
    assert answer.status_code == 403 and answer.json()["code"] == "proxied"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8484"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_request_that_another_site_sends_is_refused_even_with_the_token(local, headers):
    token = local.get("/").json()["csrf"]
    refused = local.post("/change", headers=headers | {"X-CSRF-Token": token})
    assert refused.status_code == 403 and refused.json()["code"] == "origin"


def test_a_request_without_the_sessions_own_token_is_refused(local, tmp_path):
    token = local.get("/").json()["csrf"]
    other = Browser(bare_app(tmp_path))
    other.fill("/sign-in", name="Bo")
    stranger = other.get("/").json()["csrf"]
    assert stranger != token
    for wrong in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": stranger}, {"X-CSRF-Token": token[:-1] + "é"}):
        encoded = {name: value.encode() for name, value in wrong.items()}
        answer = local.post("/change", headers={"Origin": LOCAL} | encoded)
        assert answer.status_code == 403 and answer.json()["code"] == "csrf"
    assert local.post("/change", headers={"Origin": LOCAL, "X-CSRF-Token": token}).status_code == 200


def test_the_token_may_stand_in_a_form_and_the_form_arrives_whole(local):
    token = local.get("/").json()["csrf"]
    sent = local.post("/change", data={"csrf_token": token, "a": "1" * 50_000})
    assert sent.json()["body"] == f"csrf_token={token}&a={'1' * 50_000}"


def test_a_form_of_another_kind_needs_the_token_in_its_header(local):
    token = local.get("/").json()["csrf"]
    assert local.post("/change", data={"csrf_token": token}, files={"f": b"x"}).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "FOO"])
def test_every_method_that_could_change_something_needs_the_token(local, method):
    assert local.request(method, "/change").status_code == 403


def test_a_large_body_is_refused_however_it_comes(local):
    token = local.get("/").json()["csrf"]
    headers = {"Origin": LOCAL, "X-CSRF-Token": token}
    large = b"x" * (MAX_BODY_BYTES + 1)
    assert local.post("/change", content=large, headers=headers).status_code == 413
    assert local.post("/change", content=iter([large]), headers=headers).status_code == 413
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": LOCAL}
    assert local.post("/change", content=iter([b"csrf_token=", large]), headers=form).status_code == 413


def test_a_forged_or_altered_cookie_gives_no_session(local, tmp_path):
    name, value = local.cookie
    for forged in (value[:-2] + "xx", "x", "e30.e30.e30", value.split(".")[0], value * 2, "\u00e9"):
        stranger = TestClient(bare_app(tmp_path), base_url=LOCAL)
        answer = stranger.get("/", headers={"Cookie": f"{name}={forged}".encode()})
        assert answer.status_code == 401
    assert TestClient(bare_app(tmp_path / "other"), base_url=LOCAL, cookies={name: value}).get("/").status_code == 401


def test_every_answer_says_that_nothing_from_elsewhere_is_run_or_framed(local):
    for path in ("/", "/sign-in", "/nowhere"):
        headers = local.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    refused = local.get("/", headers={"Host": "evil.example"})
    assert "content-security-policy" in refused.headers


def test_cookies_are_kept_from_scripts_and_from_other_sites(tmp_path):
    flags = Browser(bare_app(tmp_path)).get("/sign-in").headers["set-cookie"]
    assert "HttpOnly" in flags and "SameSite=Lax" in flags and "Secure" not in flags
    answer = Browser(public_app(tmp_path), PUBLIC).get("/sign-in")
    flags = answer.headers["set-cookie"]
    assert flags.startswith("__Host-") and "; Secure" in flags and "HttpOnly" in flags and "Domain" not in flags
    assert "max-age" in answer.headers["strict-transport-security"]


def test_annotators_do_not_open_the_leads_pages(tmp_path):
    app = public_app(tmp_path)
    make_account(tmp_path, "Ana", "annotator")
    make_account(tmp_path, "Lea", "lead")
    assert sign_in(app, "Ana").get("/for-leads").status_code == 403
    assert sign_in(app, "Lea").get("/for-leads").json() == {"name": "Lea"}
    assert Browser(app, PUBLIC).get("/for-leads").status_code == 401
