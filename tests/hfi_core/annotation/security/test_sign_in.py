"""Invitations, passwords and sessions, and attacks on them."""

import re
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hfi_core.annotation.security.accounts import open_accounts
from hfi_core.annotation.security.identity import safe_redirect_path
from hfi_core.errors import UserError
from tests.support.annotation_sign_in import PASSWORD, PUBLIC, Browser, bare_app, make_account, public_app, sign_in


@pytest.fixture
def app(tmp_path):
    return public_app(tmp_path)


@pytest.fixture
def accounts(tmp_path):
    store = open_accounts(tmp_path)
    yield store
    store.close()


def test_an_invitation_makes_an_account_once(app, accounts):
    link = f"/invite/{accounts.invite('Ana', 'annotator')}"
    browser = Browser(app, PUBLIC)
    assert "Ana" in browser.get(link).text  # a mail scanner that looks first uses nothing up
    assert browser.fill(link, link, password=PASSWORD, again=PASSWORD).status_code == 303
    assert browser.get("/").json()["name"] == "Ana"
    assert browser.get(link).status_code == 404
    assert accounts.list_invitations() == []


def test_two_who_use_one_link_at_once_make_one_account(accounts):
    token = accounts.invite("Ana", "lead")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: accounts.accept_invitation(token, PASSWORD + str(n)), range(8)))
    assert sum(account is not None for account in made) == 1


def test_an_invitation_ends(accounts, app):
    token = accounts.invite("Ana", "annotator", lifetime_seconds=0.0)
    time.sleep(0.01)
    assert accounts.find_invitation(token) is None and accounts.accept_invitation(token, PASSWORD) is None
    assert Browser(app, PUBLIC).get(f"/invite/{token}").status_code == 404


def test_a_new_link_voids_the_earlier_one_and_resets_the_password(accounts, app, tmp_path):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    old, new = accounts.invite("Ana", "lead"), accounts.invite("ana", "lead")
    assert accounts.accept_invitation(old, PASSWORD) is None
    assert accounts.accept_invitation(new, "another password").role == "lead"
    assert accounts.authenticate("Ana", PASSWORD) is None
    assert browser.get("/").status_code == 401, "a session outlived its password"
    assert [account.name for account in accounts.list_accounts()] == ["Ana"]


@pytest.mark.parametrize(("password", "again"), [("short", "short"), (PASSWORD, "another"), ("x" * 201,) * 2])
def test_a_bad_password_does_not_use_the_link_up(accounts, app, password, again):
    link = f"/invite/{accounts.invite('Ana', 'annotator')}"
    browser = Browser(app, PUBLIC)
    assert browser.fill(link, link, password=password, again=again).status_code == 422
    assert browser.get(link).status_code == 200


@pytest.mark.parametrize(
    "password",
    ["password1234", "123456789012", "passwordpassword", "letmeinletmein", "iloveyou123456", "qwertzuiop123",
     "aaaaaaaaaaaa", "Anabel Meier", "anabelmeier1", "annotate.example.org", "20261129201", "abcdefghijkl"],
)  # fmt: skip
def test_a_password_that_attackers_try_first_is_refused(app, accounts, password):
    link = f"/invite/{accounts.invite('Anabel Meier', 'annotator')}"
    browser = Browser(app, PUBLIC)
    refused = browser.fill(link, link, password=password, again=password)
    assert refused.status_code == 422 and blamed(refused.text) == ["password"]
    assert browser.get(link).status_code == 200 and accounts.list_accounts() == []


def test_people_change_their_own_password_which_ends_their_other_sessions(app, accounts, tmp_path):
    make_account(tmp_path, "Ana")
    browser, elsewhere = sign_in(app, "Ana"), sign_in(app, "Ana")
    new = "another battery horse"
    before = browser.cookie
    done = browser.fill("/password", "/password", current=PASSWORD, password=new, again=new)
    assert done.headers["location"] == "/password?changed=1" and browser.cookie != before
    assert "Your password is changed" in browser.get("/password?changed=1").text
    assert elsewhere.get("/").status_code == 401
    assert accounts.authenticate("Ana", PASSWORD) is None and accounts.authenticate("Ana", new) is not None


@pytest.mark.parametrize(
    ("current", "password", "again", "field"),
    [
        ("not my password", "another battery horse", "another battery horse", "current"),
        (PASSWORD, "short", "short", "password"), (PASSWORD, "password1234", "password1234", "password"),
        (PASSWORD, "another battery horse", "different", "again"),
    ],
)  # fmt: skip
def test_a_change_that_is_refused_changes_nothing(app, accounts, tmp_path, current, password, again, field):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    refused = browser.fill("/password", "/password", current=current, password=password, again=again)
    assert refused.status_code == 422 and blamed(refused.text) == [field]
    assert accounts.authenticate("Ana", PASSWORD) is not None and browser.get("/").status_code == 200


def test_a_found_open_session_cannot_guess_the_password_without_end(app, tmp_path):
    make_account(tmp_path, "Ana")
    browser, new = sign_in(app, "Ana"), "another battery horse"
    token = browser.token("/password")
    codes = [
        browser.fill("/password", current=f"guess number {n}", password=new, again=new, csrf_token=token).status_code
        for n in range(6)
    ]
    assert codes == [422] * 4 + [429] * 2  # signing in was the first attempt


def test_strangers_and_local_use_have_no_password_to_change(app, tmp_path):
    assert Browser(app, PUBLIC).get("/password").status_code == 401
    local = Browser(bare_app(tmp_path / "local"))
    local.fill("/sign-in", name="Ana")
    assert local.get("/password").status_code == 404


def test_two_changes_at_once_leave_one_of_the_two_passwords(accounts, tmp_path):
    make_account(tmp_path, "Ana")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: accounts.change_password("Ana", PASSWORD, f"new password {n}"), range(4)))
    (winner,) = [n for n, account in enumerate(made) if account is not None]
    assert accounts.authenticate("Ana", f"new password {winner}") is not None


def test_signing_in_gives_a_new_session_so_that_a_planted_one_is_worth_nothing(app, tmp_path):
    """Session fixation: the attacker knows the cookie that the victim's browser holds before the sign-in."""
    make_account(tmp_path, "Ana")
    attacker = Browser(app, PUBLIC)
    attacker.get("/sign-in")
    name, planted = attacker.cookie
    victim = Browser(app, PUBLIC)
    victim.cookies.set(name, planted, domain="annotate.example.org", path="/")
    assert victim.fill("/sign-in", name="Ana", password=PASSWORD).status_code == 303
    assert victim.get("/").status_code == 200
    assert victim.cookie[1] != planted
    assert attacker.get("/").status_code == 401


def test_signing_out_ends_the_session_wherever_its_cookie_went(app, tmp_path):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    name, value = browser.cookie
    copy = Browser(app, PUBLIC)
    copy.cookies.set(name, value, domain="annotate.example.org", path="/")
    assert copy.get("/").status_code == 200
    browser.fill("/sign-out", csrf_token=browser.get("/").json()["csrf"])
    assert browser.get("/").status_code == copy.get("/").status_code == 401


@pytest.mark.parametrize(("waiting", "cleared"), [("", '"cache", "storage"'), ("1", '"cache"')])
def test_signing_out_clears_the_browser_but_no_answers_that_wait_there(app, tmp_path, waiting, cleared):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    token = browser.get("/").json()["csrf"]
    assert browser.fill("/sign-out", csrf_token=token, keep_storage=waiting).headers["clear-site-data"] == cleared


def test_an_account_that_is_taken_away_is_out_at_once(app, accounts, tmp_path):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    assert accounts.remove("ANA") and not accounts.remove("Ana")
    assert browser.get("/").status_code == 401


def test_wrong_names_and_passwords_get_one_answer(app, tmp_path):
    make_account(tmp_path, "Ana")
    browser = Browser(app, PUBLIC)
    token = browser.token()
    wrong = browser.fill("/sign-in", name="Ana", password="not this one at all", csrf_token=token)
    nobody = browser.fill("/sign-in", name="Bea", password="not this one at all", csrf_token=token)
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.text.replace("Ana", "") == nobody.text.replace("Bea", "")


def test_guessing_is_slowed_down_for_one_person_and_for_one_address(app, tmp_path):
    make_account(tmp_path, "Ana")
    browser = Browser(app, PUBLIC)
    token = browser.token()
    codes = [
        browser.fill("/sign-in", name="Ana", password=f"guess number {n}", csrf_token=token).status_code
        for n in range(8)
    ]
    assert codes == [401] * 5 + [429] * 3
    right = browser.fill("/sign-in", name="Ana", password=PASSWORD, csrf_token=token)
    assert right.status_code == 429 and right.headers["retry-after"] == "60"
    for n in range(20):
        last = browser.fill("/sign-in", name=f"person {n}", password="x" * 12, csrf_token=token).status_code
    assert last == 429


def test_what_is_wrong_is_said_at_the_field_that_it_is_about(app, accounts, tmp_path):
    make_account(tmp_path, "Ana")
    browser, link = Browser(app, PUBLIC), f"/invite/{accounts.invite('Bo', 'annotator')}"
    assert blamed(browser.get("/sign-in").text) == blamed(browser.get(link).text) == []
    assert blamed(browser.fill("/sign-in", name=" ", password=PASSWORD).text) == ["name"]
    assert blamed(browser.fill("/sign-in", name="Ana", password="x" * 12).text) == ["name", "password"]
    assert blamed(browser.fill(link, link, password="short", again="short").text) == ["password"]
    assert blamed(browser.fill(link, link, password=PASSWORD, again="another").text) == ["again"]


def blamed(text: str) -> list[str]:
    """Return the names of the fields that are marked as wrong and described by the error message."""
    found = [field for field in re.findall(r"<input [^>]*>", text) if 'aria-invalid="true"' in field]
    assert all('aria-describedby="error"' in field for field in found)
    assert bool(found) == bool(re.search(r'id="error" role="alert">[^<]+<', text))
    return [re.search(r' name="([^"]+)"', field)[1] for field in found]


def at(app, address: str) -> Browser:
    """Return a browser with its own IP address."""
    browser = Browser(app, PUBLIC)
    browser._transport.client = (address, 50000)
    return browser


def test_guessing_at_one_name_from_many_addresses_is_slowed_down_and_others_come_in(app, tmp_path):
    make_account(tmp_path, "Ana")
    make_account(tmp_path, "Bo")
    codes = []
    for n in range(8):
        browser = at(app, f"203.0.113.{n}")
        token = browser.token()
        codes += [
            browser.fill("/sign-in", name="Ana", password="not this one", csrf_token=token).status_code
            for _ in range(5)
        ]
    assert codes == [401] * 30 + [429] * 10
    assert at(app, "198.51.100.1").fill("/sign-in", name="Bo", password=PASSWORD).status_code == 303


def test_one_address_alone_keeps_nobody_out(app, tmp_path):
    make_account(tmp_path, "Ana")
    attacker = at(app, "203.0.113.1")
    token = attacker.token()
    for _ in range(40):
        attacker.fill("/sign-in", name="Ana", password="not this one", csrf_token=token)
    assert at(app, "198.51.100.1").fill("/sign-in", name="Ana", password=PASSWORD).status_code == 303


def test_the_addresses_of_one_ipv6_network_count_together(app):
    codes = []
    for n in range(7):
        browser = at(app, f"2001:db8:0:1::{n:x}")
        codes.append(browser.fill("/sign-in", name="Ana", password="not this one").status_code)
    assert codes == [401] * 5 + [429] * 2
    assert at(app, "2001:db8:0:2::1").fill("/sign-in", name="Ana", password="not this one").status_code == 401


def test_links_are_not_tried_one_after_the_other(app, accounts):
    link = f"/invite/{accounts.invite('Ana', 'annotator')}"
    attacker = at(app, "203.0.113.1")
    codes = [attacker.get(f"/invite/{n}").status_code for n in range(35)]
    assert codes == [404] * 30 + [429] * 5
    assert attacker.get(link).status_code == 429 and at(app, "198.51.100.1").get(link).status_code == 200


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "a\u202eb", "a\u200bb"])
def test_names_that_could_deceive_are_refused(accounts, app, name):
    with pytest.raises(UserError):
        accounts.invite(name, "annotator")
    assert Browser(app, PUBLIC).fill("/sign-in", name=name or " ", password=PASSWORD).status_code == 422


@pytest.mark.parametrize(
    "next", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", "", "\\/x"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(next):
    assert safe_redirect_path(next) == "/"
    assert safe_redirect_path("/review/badge?first=12") == "/review/badge?first=12"


def test_the_file_tells_a_reader_no_password_no_link_and_no_session(accounts, app, tmp_path):
    make_account(tmp_path, "Ana")
    browser = sign_in(app, "Ana")
    token = accounts.invite("Bo", "lead")
    path = tmp_path / "accounts.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as database:
        text = "\n".join(database.iterdump())
    assert "$argon2id$" in text and PASSWORD not in text and token not in text
    assert browser.app.state.cookies.read(browser.cookie[1]).id not in text


def test_a_name_full_of_markup_is_shown_as_text(accounts, app):
    name = "<img src=x onerror=alert(1)>"
    page = Browser(app, PUBLIC).get(f"/invite/{accounts.invite(name, 'annotator')}").text
    assert "<img" not in page and "&lt;img" in page
    again = Browser(app, PUBLIC).fill("/sign-in", name=name, password=PASSWORD, next='/"><script>').text
    assert "<img" not in again and "<script>" not in again
