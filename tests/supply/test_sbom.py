import json
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tools.sbom import SPEC, bill, node_components, python_components

ROOT = Path(__file__).parents[2]

MAY_BE_SHIPPED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
    "MIT-0", "MPL-2.0", "OFL-1.1", "PSF-2.0", "PostgreSQL", "Python-2.0", "Unlicense", "ZPL-2.1",
}  # fmt: skip
"""Licences that let a company run and pass on the platform without opening what is its own."""


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return bill(ROOT)


def resource(name: str) -> Any:
    return json.loads(files("cyclonedx.schema._res").joinpath(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Validator:
    """The schema of CycloneDX with those that it refers to; nothing is fetched."""
    parts = {
        f"http://cyclonedx.org/schema/{name}": resource(name)
        for name in ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    }

    def refuse(address: str) -> Any:
        raise AssertionError(f"{address} is fetched")

    registry = jsonschema_rs.Registry([*parts.items()], retriever=refuse)
    return jsonschema_rs.validator_for(resource(f"bom-{SPEC}.SNAPSHOT.schema.json"), registry=registry)


def test_the_bill_is_what_the_schema_of_cyclonedx_asks_for(made: dict[str, Any], schema: Any) -> None:
    assert [error.message for error in schema.iter_errors(made)] == []


def test_the_schema_would_notice_what_is_wrong(made: dict[str, Any], schema: Any) -> None:
    wrong = deepcopy(made)
    wrong["components"][0]["scope"] = "sometimes"
    assert not schema.is_valid(wrong)


def test_every_pin_of_the_lock_files_is_in_the_bill(made: dict[str, Any]) -> None:
    pins = [
        line.split("==")[0]
        for line in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith(" ")
    ]
    packages = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    named = {one["name"] for one in made["components"]}
    assert {pin.partition("[")[0].lower() for pin in pins} <= named
    assert {path.rpartition("node_modules/")[2] for path in packages if path} <= named


def test_what_runs_and_what_only_builds_are_told_apart(made: dict[str, Any]) -> None:
    scopes = {one["name"]: one["scope"] for one in made["components"]}
    assert {scopes[name] for name in ("asyncpg", "fastapi", "react")} == {"required"}
    assert {scopes[name] for name in ("pytest", "mypy", "vite", "vitest")} == {"excluded"}


def test_servers_that_packages_carry_are_named_with_their_version(made: dict[str, Any]) -> None:
    carried = [inner["purl"] for one in made["components"] for inner in one.get("components", [])]
    assert sorted(one.partition("@")[0] for one in carried) == ["pkg:generic/postgresql", "pkg:generic/valkey"]


def test_everything_that_something_needs_is_in_the_bill(made: dict[str, Any]) -> None:
    refs = {one["ref"] for one in made["dependencies"]}
    assert {ref for one in made["dependencies"] for ref in one["dependsOn"]} <= refs
    [own] = [one for one in made["dependencies"] if one["ref"].startswith("pkg:pypi/sparkops@")]
    assert len(own["dependsOn"]) > 40
    starlette = [one for one in made["dependencies"] if one["ref"].startswith("pkg:pypi/fastapi@")]
    assert any(ref.startswith("pkg:pypi/starlette@") for ref in starlette[0]["dependsOn"])


def test_the_same_locks_give_the_same_bill(made: dict[str, Any]) -> None:
    assert bill(ROOT) == made


def test_the_bill_names_no_registry_and_no_machine(made: dict[str, Any]) -> None:
    text = json.dumps(made)
    assert "http://" not in text
    assert "https://" not in text
    assert str(ROOT) not in text


def test_every_component_has_a_licence_that_may_be_shipped() -> None:
    parts = [*python_components(ROOT), *node_components(ROOT)]
    wrong = {f"{one.name}: {one.licence}" for one in parts if not _may_be_shipped(one.licence)}
    assert wrong == set()


def _may_be_shipped(licence: str | None) -> bool:
    """Read an SPDX expression as far as packages use it: one side of each OR will do, all of AND must."""
    if licence is None:
        return False
    plain = licence.replace("(", " ").replace(")", " ")
    return all(any(one.strip() in MAY_BE_SHIPPED for one in part.split(" OR ")) for part in plain.split(" AND "))


@pytest.mark.parametrize(
    ("licence", "may"),
    [("MIT", True), ("AGPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("(MIT OR GPL-3.0-only)", True)],
)
def test_licences_are_read_with_their_and_and_or(licence: str, may: bool) -> None:
    assert _may_be_shipped(licence) is may


def test_a_line_that_is_no_pin_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("somewhere @ git+ssh://host/x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no pin"):
        python_components(tmp_path)
