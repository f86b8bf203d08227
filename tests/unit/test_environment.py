"""Settings written as variables are the same settings when they are read again."""

from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sparkops.core.config import Connection, ModelEndpoint, Settings, load_settings
from sparkops.local.environment import child_environment, variables

# What an environment can hold: no NUL, and nothing that UTF-8 cannot write.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
endpoints = st.builds(
    ModelEndpoint,
    base_url=texts,
    model=texts,
    api_key=texts.map(SecretStr),
    timeout_seconds=st.integers(1, 600).map(float),
    input_usd_per_million=st.none() | st.decimals(0, 1000, places=4),
    output_usd_per_million=st.none(),
)


@given(st.dictionaries(texts, endpoints, max_size=3), st.lists(texts, max_size=3), st.booleans())
def test_every_kind_of_setting_survives(models: dict[str, ModelEndpoint], words: list[str], flag: bool) -> None:
    settings = Settings(
        data_dir=Path("/data"),
        models=models,
        egress_allow=tuple(words),
        secure_cookies=flag,
        drain_seconds=2.5,
        secret_key=SecretStr("k" * 32),
        connections={"a": Connection(url=SecretStr('postgresql://a:"b\\@h/d'), projects=("a1", "*"))},
    )
    assert load_settings(variables(settings)) == settings


def test_decimals_keep_their_digits() -> None:
    model = ModelEndpoint(base_url="u", model="m", input_usd_per_million=Decimal("0.150"))
    again = load_settings(variables(Settings(models={"m": model}))).models["m"]
    assert str(again.input_usd_per_million) == "0.150"


def test_a_child_gets_these_settings_and_no_others() -> None:
    ours = {"PATH": "/bin", "SPARKOPS_HOST": "1.1.1.1", "SPARKOPS_ADMIN_PASSWORD": "x", "SPARKOPS_FAILPOINTS": "a=kill"}
    env = child_environment(Settings(port=9, admin_password=None), ours)
    assert env == {"PATH": "/bin", "SPARKOPS_FAILPOINTS": "a=kill", "SPARKOPS_PORT": "9"}
