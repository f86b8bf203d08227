"""Secrets that lie outside: in a vault that speaks the protocol of HashiCorp's, or in mounted files."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert

from sparkops.core.config import Settings, load_settings
from sparkops.core.db import Database
from sparkops.core.errors import ConfigError
from sparkops.core.ids import new_id
from sparkops.core.redaction import Redactor
from sparkops.domains.projects.models import Project
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.secrets import Scope, Use
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.secrets.base import CallSecrets, Source
from sparkops.runtime.secrets.sources import OfVault, open_secrets
from tests.runtime.vault import FakeVault, running

TOKEN = "hvs.token-of-the-platform"
VALUE = "a-value-of-the-vault"


@pytest.fixture
async def project_id(database: Database) -> UUID:
    made = new_id()
    async with database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=made, slug="lab", name="Lab"))
    return made


@pytest.fixture
async def vault() -> AsyncIterator[FakeVault]:
    async with running(FakeVault(TOKEN)) as made:
        yield made


def use(project_id: UUID) -> Use:
    return Use(project_id, new_id(), new_id(), new_id())


def vault_settings(vault: FakeVault, **changes: object) -> Settings:
    table = {"address": vault.address, "token": TOKEN, **changes}
    return Settings.model_validate({"secrets_source": "vault", "vault": table})


async def read(
    settings: Settings, database: Database, project_id: UUID, name: str, scope: Scope = "project"
) -> str | None:
    async with open_secrets(settings, database) as secrets:
        assert secrets.source is not None
        return await secrets.source.read(use(project_id), scope, Reference(name))


async def filled(source: Source, project_id: UUID, text: str) -> str:
    secrets = CallSecrets(source, use(project_id), Redactor())
    return str((await secrets.fill({"key": text}, {("key",): text}))["key"])


async def test_a_vault_is_asked_below_the_project_and_the_use_is_on_record(
    vault: FakeVault, database: Database, project_id: UUID
) -> None:
    vault.put("secret/data/sparkops/lab/stripe-key", value="the-first-of-it")
    vault.put("secret/data/sparkops/lab/stripe-key", value=VALUE)
    async with open_secrets(vault_settings(vault, namespace="team"), database) as secrets:
        assert secrets.source is not None
        assert await filled(secrets.source, project_id, "Bearer secret://stripe-key") == f"Bearer {VALUE}"
        assert await filled(secrets.source, project_id, "secret://stripe-key?version=1") == "the-first-of-it"
    (target, headers), (pinned, _) = vault.asked
    assert target == "/v1/secret/data/sparkops/lab/stripe-key"
    assert pinned == target + "?version=1"
    assert (headers["x-vault-token"], headers["x-vault-namespace"]) == (TOKEN, "team")
    rows = await database.pool.fetch("SELECT name, version, scope, source FROM secret_uses ORDER BY id")
    assert [tuple(row) for row in rows] == [("stripe-key", each, "project", "vault") for each in (2, 1)]
    assert await database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'secret.read'") == 2


async def test_secrets_of_the_installation_lie_where_no_project_can(
    vault: FakeVault, database: Database, project_id: UUID
) -> None:
    vault.put("kv/data/ours/_installation/model-key", password=VALUE)
    settings = vault_settings(vault, mount="kv", prefix="ours", field="password")
    assert await read(settings, database, project_id, "model-key", "installation") == VALUE
    assert await read(settings, database, project_id, "model-key") is None


async def test_what_a_vault_deleted_is_unknown(vault: FakeVault, database: Database, project_id: UUID) -> None:
    vault.entries["secret/data/sparkops/lab/stripe-key"] = [{"value": VALUE}, None]
    async with open_secrets(vault_settings(vault), database) as secrets:
        assert secrets.source is not None
        with pytest.raises(CallFailed) as failed:
            await filled(secrets.source, project_id, "secret://stripe-key")
    assert (failed.value.code, failed.value.retryable) == ("secret-unknown", False)
    assert await database.pool.fetchval("SELECT count(*) FROM secret_uses") == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"sealed": True}, "may be sealed"),
        ({"token": "another"}, "does not let the platform read it"),
        ({"says": b"<html>"}, "does not speak KV version 2"),
        ({"says": b'{"data": {"value": "of-version-1-of-kv"}}'}, "does not speak KV version 2"),
        ({"says": b"x" * 2_000_000}, "larger than a secret may be"),
    ],
)
async def test_a_vault_that_does_not_give_is_asked_again_later(
    vault: FakeVault, database: Database, project_id: UUID, fault: dict[str, object], says: str
) -> None:
    vault.put("secret/data/sparkops/lab/stripe-key", value=VALUE)
    settings = vault_settings(vault)
    for name, value in fault.items():
        setattr(vault, name, value)
    async with open_secrets(settings, database) as secrets:
        assert secrets.source is not None
        with pytest.raises(CallFailed, match=says) as failed:
            await filled(secrets.source, project_id, "secret://stripe-key")
    assert (failed.value.code, failed.value.retryable) == ("secret-unavailable", True)
    assert TOKEN not in failed.value.message


async def test_a_vault_that_is_not_there_is_told(database: Database, project_id: UUID) -> None:
    async with running(FakeVault(TOKEN)) as gone:
        settings = vault_settings(gone)
    async with open_secrets(settings, database) as secrets:
        assert secrets.source is not None
        with pytest.raises(CallFailed, match="Vault does not answer"):
            await filled(secrets.source, project_id, "secret://stripe-key")


async def test_a_token_in_a_file_is_read_at_each_use(
    vault: FakeVault, database: Database, project_id: UUID, tmp_path: Path
) -> None:
    vault.put("secret/data/sparkops/lab/stripe-key", value=VALUE)
    file = tmp_path / "token"
    settings = vault_settings(vault, token=None, token_file=str(file))
    async with open_secrets(settings, database) as secrets:
        assert isinstance(secrets.source, OfVault)
        with pytest.raises(CallFailed, match="cannot be read"):
            await filled(secrets.source, project_id, "secret://stripe-key")
        for token in ("hvs.an-older-one", TOKEN):
            file.write_text(token + "\n")
            vault.token = token
            assert await filled(secrets.source, project_id, "secret://stripe-key") == VALUE


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (None, "has to say where it is"),
        ({"address": "https://vault.example"}, "needs a token or a token_file"),
        ({"address": "https://vault.example", "token": "t", "token_file": "/t"}, "and not both"),
        ({"address": "http://vault.example:8200", "token": "t"}, "must begin with https"),
        ({"address": "vault.example", "token": "t"}, "is not valid"),
    ],
)
async def test_settings_of_a_vault_that_cannot_be_right_keep_a_worker_from_starting(
    database: Database, table: dict[str, str] | None, says: str
) -> None:
    settings = Settings.model_validate({"secrets_source": "vault", "vault": table})
    with pytest.raises(ConfigError, match=says):
        async with open_secrets(settings, database):
            raise AssertionError("it opened")


# Files


async def test_mounted_files_are_read_below_the_project_without_their_newline(
    database: Database, project_id: UUID, tmp_path: Path
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "stripe-key").write_text(VALUE + "\n")
    (tmp_path / "model-key").write_text("of-the-installation")
    settings = Settings(secrets_source="files", secrets_dir=tmp_path)
    assert await read(settings, database, project_id, "stripe-key") == VALUE
    assert await read(settings, database, project_id, "model-key", "installation") == "of-the-installation"
    assert await read(settings, database, project_id, "model-key") is None
    assert await read(settings, database, project_id, "lab", "installation") is None
    (tmp_path / "lab" / "stripe-key").write_text("another-one")
    assert await read(settings, database, project_id, "stripe-key") == "another-one"
    rows = await database.pool.fetch("SELECT name, version, source FROM secret_uses ORDER BY at")
    assert [tuple(row) for row in rows][:2] == [("stripe-key", None, "files"), ("model-key", None, "files")]


@pytest.mark.parametrize(
    ("contents", "code"),
    [(b"short", "secret-unfit"), (b"\xff" * 20, "secret-unavailable"), (b"x" * 40_000, "secret-unavailable")],
)
async def test_what_is_no_secret_is_not_sent(
    database: Database, project_id: UUID, tmp_path: Path, contents: bytes, code: str
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "stripe-key").write_bytes(contents)
    async with open_secrets(Settings(secrets_source="files", secrets_dir=tmp_path), database) as secrets:
        assert secrets.source is not None
        with pytest.raises(CallFailed) as failed:
            await filled(secrets.source, project_id, "secret://stripe-key")
        assert failed.value.code == code
        with pytest.raises(CallFailed, match="have no versions"):
            await filled(secrets.source, project_id, "secret://stripe-key?version=1")


def test_the_settings_take_the_name_of_a_key_file_and_not_what_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("0f" * 32)
    settings = load_settings({"SPARKOPS_SECRETS_KEY_FILE": str(file), "SPARKOPS_VAULT": '{address = "https://v"}'})
    assert (settings.secrets_key_file, settings.secrets_key) == (file, None)
    assert settings.vault is not None
    assert os.fspath(settings.secrets_dir) == "/run/secrets"
