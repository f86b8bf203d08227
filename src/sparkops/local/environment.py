"""Settings as variables: how a parent hands them to its children, secrets too, without a command line or a file."""

import json
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, SecretStr

from sparkops.core.config import PREFIX, Settings
from sparkops.core.failpoints import ENV as FAILPOINTS


def child_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment with exactly these settings in it, whatever settings stood there before."""
    return without_settings(os.environ if environ is None else environ) | variables(settings)


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment is no setting of ours."""
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX) or name == FAILPOINTS}


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables from which `load_settings` makes these settings again."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {PREFIX + name.upper(): _text(value) for name, value in given.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | Path):
        return str(value)
    return _toml(value)


def _toml(value: object) -> str:
    """Write a value as inline TOML; strings are written as JSON writes them, which TOML reads alike."""
    if isinstance(value, BaseModel):
        return _toml({name: item for name, item in value if item is not None})
    if isinstance(value, SecretStr):
        return _toml(value.get_secret_value())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str | Decimal | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    raise TypeError(f"a setting of type {type(value).__name__} has no text form")
