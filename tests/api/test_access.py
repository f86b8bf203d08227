"""What a route needs is declared with it, and enforced before it runs."""

import itertools

import pytest
from fastapi import APIRouter, FastAPI

from sparkops.api.access import check_routes, needs
from sparkops.core.permissions import DESCRIPTIONS, INSTALLATION, ROLES, Permission, Role
from tests.api.conftest import SOURCE, MakePerson, Person


async def test_a_route_that_declares_nothing_keeps_the_application_from_starting(app: FastAPI) -> None:
    router = APIRouter()

    @router.get("/silent")
    async def silent() -> None: ...

    app.include_router(router)
    with pytest.raises(RuntimeError, match="silent does not say which permission it needs"):
        check_routes(app)


async def test_a_route_about_something_whose_project_nobody_can_find_is_refused(app: FastAPI) -> None:
    router = APIRouter()

    @router.get("/things/{thing_id}", openapi_extra=needs(Permission.RUN_READ))
    async def get_thing() -> None: ...

    app.include_router(router)
    with pytest.raises(RuntimeError, match="get_thing is about thing_id, whose project nobody can find"):
        check_routes(app)


def test_each_role_may_do_what_the_next_one_may_and_more() -> None:
    roles = [ROLES[role] for role in Role]
    assert all(more > less for more, less in itertools.pairwise(roles))
    assert not ROLES[Role.OWNER] & INSTALLATION
    assert set(DESCRIPTIONS) == set(Permission)


async def test_a_role_that_does_not_allow_something_is_told_which_do(ann: Person, person: MakePerson) -> None:
    vic = await person("vic")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": vic.email, "role": "viewer"})
    wanted = {"project": "weather", "source": SOURCE.format(name="spy")}
    refused = await vic.client.post("/api/v1/workflows", json=wanted)
    assert refused.status_code == 403
    assert refused.json()["detail"] == (
        "Your role in weather is viewer, which does not allow workflow:write; these roles do: owner, admin, developer."
    )
    assert (await vic.client.get("/api/v1/workflows", params={"project": "weather"})).status_code == 200


async def test_another_role_acts_with_the_next_request(ann: Person, person: MakePerson) -> None:
    vic = await person("vic")
    body = {"email": vic.email, "role": "developer"}
    await ann.client.post("/api/v1/projects/weather/members", json=body)
    wanted = {"project": "weather", "source": SOURCE.format(name="report")}
    made = await vic.client.post("/api/v1/workflows", json=wanted)
    assert made.status_code == 201
    await ann.client.post("/api/v1/projects/weather/members", json=body | {"role": "viewer"})
    path = f"/api/v1/workflows/{made.json()['id']}"
    assert (await vic.client.patch(path, json={"max_running_runs": 1})).status_code == 403
