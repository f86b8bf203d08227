"""Settings: where they come from, which wins, and what is said when one is wrong."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sparkops.core.config import load_settings
from sparkops.core.db import STATEMENT_TIMEOUT_MS
from sparkops.core.errors import ConfigError
from sparkops.core.leases import HEARTBEATS
from sparkops.runtime.trust import Trust


def test_without_any_setting_the_embedded_servers_are_meant() -> None:
    settings = load_settings({})
    assert settings.database_url is None
    assert settings.redis_url is None
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 2)


def test_variables_win_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    file = tmp_path / "sparkops.toml"
    file.write_text('host = "1.1.1.1"\nport = 1\nworkers = 1\n')
    env = {"SPARKOPS_CONFIG": str(file), "SPARKOPS_PORT": "2", "SPARKOPS_WORKERS": "2", "OTHER": "ignored"}
    settings = load_settings(env, workers=3, slots=None)
    assert (settings.host, settings.port, settings.workers, settings.slots) == ("1.1.1.1", 2, 3, 100)


def test_a_secret_may_lie_in_a_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 40 + "\n")
    settings = load_settings({"SPARKOPS_SECRET_KEY_FILE": str(file)})
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "k" * 40
    assert "kkk" not in repr(settings)


def test_the_three_short_variables_make_the_default_model() -> None:
    env = {
        "SPARKOPS_MODEL_BASE_URL": "http://127.0.0.1:1/v1",
        "SPARKOPS_MODEL_NAME": "small",
        "SPARKOPS_MODEL_API_KEY": "sk",
        "SPARKOPS_MODEL_INPUT_USD_PER_MILLION": "0.15",
    }
    model = load_settings(env).models["default"]
    assert (model.base_url, model.model, model.api_key.get_secret_value()) == ("http://127.0.0.1:1/v1", "small", "sk")
    assert model.input_usd_per_million == Decimal("0.15")


def test_lists_and_tables_are_read_from_variables() -> None:
    settings = load_settings(
        {
            "SPARKOPS_CORS_ORIGINS": "https://a.example, https://b.example",
            "SPARKOPS_EGRESS_ALLOW": '["127.0.0.1:11434"]',
            "SPARKOPS_CONNECTIONS": '{sales = {url = "postgresql://r@h/d", max_rows = 5}}',
        }
    )
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.egress_allow == ("127.0.0.1:11434",)
    assert settings.connections["sales"].max_rows == 5


def test_a_connection_is_for_the_projects_that_are_named_and_a_model_for_all_unless_some_are() -> None:
    env = {
        "SPARKOPS_CONNECTIONS": '{hr = {url = "postgresql://r@h/d", projects = ["people"]}, '
        'none = {url = "postgresql://r@h/d"}, all = {url = "postgresql://r@h/d", projects = ["*"]}}',
        "SPARKOPS_MODELS": '{large = {base_url = "u", model = "m"}, '
        'theirs = {base_url = "u", model = "m", projects = ["people"]}}',
    }
    settings = load_settings(env)
    assert {name: {*settings.connections_of(name)} for name in ("people", "shop")} == {
        "people": {"hr", "all"},
        "shop": {"all"},
    }
    assert {name: {*settings.models_of(name)} for name in ("people", "shop")} == {
        "people": {"large", "theirs"},
        "shop": {"large"},
    }
    assert settings.named_projects == {"people"}
    assert settings.project_creators == "administrators"


@pytest.mark.parametrize("named", ["People", "a b", "", "**"])
def test_what_is_no_slug_names_no_project(named: str) -> None:
    with pytest.raises(ConfigError, match="slug"):
        load_settings({"SPARKOPS_CONNECTIONS": f'{{hr = {{url = "postgresql://r@h/d", projects = ["{named}"]}}}}'})


def test_durations_are_durations() -> None:
    assert load_settings({"SPARKOPS_LEASE_SECONDS": "12.5"}).lease == timedelta(seconds=12.5)


@pytest.mark.parametrize("seconds", ["1", "6", "10.7"])
def test_a_lease_outlasts_a_slow_statement_a_heartbeat_and_what_is_not_trusted(seconds: str) -> None:
    with pytest.raises(
        ConfigError, match=r"SPARKOPS_LEASE_SECONDS is not valid: must be more than 10\.71: a statement"
    ):
        load_settings({"SPARKOPS_LEASE_SECONDS": seconds})
    lease = load_settings({"SPARKOPS_LEASE_SECONDS": "10.72"}).lease_seconds
    trusted = Trust.since(0, lease).until
    assert trusted - lease / HEARTBEATS > STATEMENT_TIMEOUT_MS / 1000


def test_the_application_logs_in_by_its_own_url_or_takes_on_its_role() -> None:
    owner = {"SPARKOPS_DATABASE_URL": "postgresql://owner@h/d"}
    assert load_settings(owner).app_login == ("postgresql://owner@h/d", "sparkops_app")
    both = owner | {"SPARKOPS_APP_DATABASE_URL": "postgresql://app@h/d"}
    assert load_settings(both).app_login == ("postgresql://app@h/d", None)
    with pytest.raises(ConfigError, match="SPARKOPS_DATABASE_URL is missing"):
        _ = load_settings({}).app_login
    with pytest.raises(ConfigError, match="SPARKOPS_REDIS_URL is missing"):
        _ = load_settings({}).broker_url


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"SPARKOPS_PROT": "1"}, "SPARKOPS_PROT is not a setting that Spark-Ops knows; check its spelling."),
        ({"SPARKOPS_PORT": "many"}, "SPARKOPS_PORT is not valid: "),
        ({"SPARKOPS_PORT": "70000"}, "SPARKOPS_PORT is not valid: "),
        ({"SPARKOPS_SECRET_KEY": "short"}, "SPARKOPS_SECRET_KEY is not valid: "),
        ({"SPARKOPS_DATABASE_URL": "mysql://h"}, "SPARKOPS_DATABASE_URL is not valid: must look like postgresql://"),
        ({"SPARKOPS_REDIS_URL": "http://h"}, "SPARKOPS_REDIS_URL is not valid: must look like redis://"),
        ({"SPARKOPS_MODELS": "{a = "}, "SPARKOPS_MODELS is not a valid inline TOML value"),
        ({"SPARKOPS_MODELS": '{a = {base_url = "http://h"}}'}, "the setting models.a.model is missing."),
        ({"SPARKOPS_SECRET_KEY_FILE": "/nowhere"}, "SPARKOPS_SECRET_KEY_FILE names /nowhere, which cannot be read"),
        ({"SPARKOPS_CONFIG": "/nowhere"}, "SPARKOPS_CONFIG names /nowhere, which cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(env)
    assert sentence in caught.value.detail


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sparkops.toml"
    file.write_text("port =")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_settings({"SPARKOPS_CONFIG": str(file)})


def test_a_secret_is_not_in_the_sentence_about_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"SPARKOPS_DATABASE_URL": "mysql://user:hunter2@h"})
    assert "hunter2" not in caught.value.detail
