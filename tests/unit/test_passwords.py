"""What is stored of a password."""

from types import SimpleNamespace

import pytest

from sparkops.core.errors import Invalid
from sparkops.domains.identity import passwords
from sparkops.domains.identity.passwords import generate_password, hash_password, verify_password
from tests.tiers import in_tier

CHEAP = 4


@pytest.mark.parametrize("password", ["short one", "x" * 1_000, "nul\0inside", "pässwörd 🔑"])
def test_a_password_matches_itself_only(password: str) -> None:
    stored = hash_password(password, rounds=CHEAP)
    assert verify_password(password, stored)
    assert not verify_password(password + "x", stored)
    assert not verify_password(password.upper() + "y", stored)


def test_all_of_a_long_password_counts() -> None:
    """bcrypt alone would stop at 72 bytes, and at a NUL."""
    assert not verify_password("x" * 99 + "b", hash_password("x" * 99 + "a", rounds=CHEAP))
    assert not verify_password("a\0c", hash_password("a\0b", rounds=CHEAP))


def test_nobody_has_a_password_and_it_costs_as_much_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not verify_password("", None)
    looked_at: list[str] = []

    def verify(_: bytes, stored: str) -> bool:
        looked_at.append(stored)
        return True

    with monkeypatch.context() as patched:
        patched.setattr(passwords, "_hasher", SimpleNamespace(verify=verify))
        assert not verify_password("", None), "whatever it was compared with"
    assert looked_at == [passwords._NOBODY]
    assert passwords._NOBODY.split("$")[2] == hash_password("somebody").split("$")[2]


def test_generated_passwords_differ_and_are_long() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 22 for one in made)


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert hash_password("same", rounds=CHEAP) != hash_password("same", rounds=CHEAP)


def reason(password: str, email: str = "ann.baker@acme-weather.com", name: str = "Ann Baker") -> str | None:
    return passwords.why_not(password, email, name)


@pytest.mark.parametrize(
    "password",
    [
        "long enough",
        "correct horse battery staple",
        "kettle-9-umbrella",
        "пароль длинный и свой",
        "x9$Lq2!vTz",
        "🔑" * 3 + " und der Rest",
    ],
)
def test_a_password_that_is_not_on_any_list_may_be_chosen(password: str) -> None:
    assert reason(password) is None


@pytest.mark.parametrize("password", ["", "short", "7 chars", "x" * 1_025])
def test_one_that_is_too_short_or_endless_may_not(password: str) -> None:
    assert "8 to 1,024" in (reason(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PASSWORD",
        "Password1",
        "p@ssw0rd",
        "qwertyuiop",
        "12345678",
        "iloveyou",
        "trustno1",
        "letmein123",
        "aaaaaaaaaaaa",
        "abcdefgh",
        "drowssap",
        "baseball1",
    ],
)
def test_what_everybody_would_try_first_may_not(password: str) -> None:
    assert "common" in (reason(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "ann.baker@acme-weather.com",
        "annbaker",
        "Baker2026",
        "acme-weather",
        "weather!1",
        "sparkops",
        "Spark-Ops1!",
        "SparkOps2026",
        "AnnBakerAnnBaker",
    ],
)
def test_what_is_hardly_more_than_the_person_or_the_product_may_not(password: str) -> None:
    assert reason(password) is not None


def test_a_sentence_may_name_the_product() -> None:
    assert reason("sparkops keeps my kettle warm") is None


def test_no_listed_password_gets_through() -> None:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 -- 15 MB that only this test needs

    listed = [one for one in FREQUENCY_LISTS["passwords"] if len(one) >= passwords.MIN_LENGTH]
    assert len(FREQUENCY_LISTS["passwords"]) >= 10_000
    tried = [one for number, one in enumerate(listed) if in_tier(number, 40)]
    assert len(tried) > 200
    assert [one for one in tried if reason(one) is None] == []


async def test_who_chooses_a_bad_one_is_told_where_and_why() -> None:
    with pytest.raises(Invalid) as refused:
        await passwords.check_acceptable("password1", email="ann@example.com")
    assert refused.value.members["errors"][0]["path"] == "password"
