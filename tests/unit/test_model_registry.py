"""From names to models, and what a worker pays for it."""

import subprocess
import sys
from typing import Any

import pytest

from sparkops.core.config import Settings
from sparkops.core.errors import ConfigError
from sparkops.core.model_spec import ModelSpec
from sparkops.runtime.llm.registry import Models, egress_of

LOCAL = {"base_url": "http://Model.internal:8080/v1", "model": "gpt-4o-mini"}


def test_an_endpoint_that_is_configured_may_be_reached_on_its_port() -> None:
    settings = Settings.model_validate({"models": {"default": LOCAL}, "egress_allow": ["10.0.0.1:5432", "[::1]:80"]})
    assert egress_of(settings).allowed == {("model.internal", 8080), ("10.0.0.1", 5432), ("::1", 80)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"egress_allow": ["localhost"]}, "SPARKOPS_EGRESS_ALLOW is not valid: localhost is not of the form host:port"),
        ({"egress_allow": ["http://x:80"]}, "SPARKOPS_EGRESS_ALLOW"),
        ({"egress_allow": ["x:80/path"]}, "SPARKOPS_EGRESS_ALLOW"),
        ({"egress_allow": ["x:99999"]}, "SPARKOPS_EGRESS_ALLOW"),
        ({"models": {"default": {**LOCAL, "base_url": "localhost:8080"}}}, "base_url"),
    ],
)
def test_addresses_that_cannot_be_meant_stop_the_start(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as failed:
        Models(Settings.model_validate(settings))
    assert words in failed.value.detail


def test_one_name_is_one_model_and_a_script_is_its_own() -> None:
    models = Models(Settings.model_validate({"models": {"default": LOCAL}}))
    spec = ModelSpec(model="default")
    assert models.resolve(spec, "weather") is models.resolve(spec, "other")
    script = ModelSpec.model_validate({"model": "scripted", "script": {"turns": [{"text": "x"}]}})
    assert models.resolve(script, "weather").scripted


def test_the_model_library_is_not_loaded_before_a_model_is_asked() -> None:
    """It would cost every idle worker 33 MB and a second and a half at start."""
    code = "import sys, sparkops.runtime.agent, sparkops.runtime.llm.registry; print('pydantic_ai' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
