"""The published document is the application's, and complete."""

from pathlib import Path
from typing import Any

import pytest

from sparkops.api.app import create_app
from sparkops.api.openapi import main
from sparkops.api.schema import document
from sparkops.core.config import Settings

COMMITTED = Path(__file__).parents[2] / "web" / "openapi.json"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(create_app(Settings()))


def operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in described["paths"].values() for operation in methods.values()]


def test_the_document_in_the_repository_is_the_applications(tmp_path: Path) -> None:
    main([str(tmp_path / "openapi.json")])
    assert COMMITTED.read_bytes() == (tmp_path / "openapi.json").read_bytes(), "run `make api-types`"


def test_operation_ids_are_short_and_unique(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(described)]
    assert len(names) == len(set(names))
    assert all(name.isalpha() and name[0].islower() for name in names)


def test_every_error_is_documented_as_a_problem(described: dict[str, Any]) -> None:
    for operation in operations(described):
        for status, answer in operation["responses"].items():
            if status.startswith("4") or (status == "503" and operation["operationId"] != "ready"):
                assert "application/problem+json" in answer["content"], (operation["operationId"], status)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    known = described["components"]["schemas"]
    for name in references(described):
        assert name in known, name


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"].removeprefix("#/components/schemas/")] if isinstance(node.get("$ref"), str) else []
        return here + [name for value in node.values() for name in references(value)]
    return [name for value in node for name in references(value)] if isinstance(node, list) else []


def test_only_the_ways_in_need_no_token(described: dict[str, Any]) -> None:
    open_routes = {one["operationId"] for one in operations(described) if not one.get("security")}
    assert open_routes == {
        "signIn",
        "answerChallenge",
        "refresh",
        "getSignInOptions",
        "forgotPassword",
        "lookAtLink",
        "choosePassword",
        "setUp",
        "getOidc",
        "startOidc",
        "finishOidc",
        "live",
        "ready",
    }
