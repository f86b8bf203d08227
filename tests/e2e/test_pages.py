"""The pages in a real Chromium, on the real platform: what a person does with the example."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, expect

from sparkops.local.example.people import Login
from tests.e2e.conftest import Platform, watched

pytestmark = pytest.mark.xdist_group("platform")

PICTURES = os.environ.get("SPARK_TEST_PICTURES")
"""A directory to keep screenshots in, for people to look at."""
SLOW_MS = 20_000
DESKTOP, PHONE = (1440, 900), (390, 844)


@asynccontextmanager
async def visitor(
    browser: Browser,
    platform: Platform,
    login: Login | None,
    scheme: Literal["light", "dark"] = "light",
    size: tuple[int, int] = DESKTOP,
) -> AsyncIterator[Page]:
    """A browser of its own, signed in as this person; fails if a page had an error, or its policy refused something."""
    context = await browser.new_context(
        base_url=platform.url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
    )
    context.set_default_timeout(SLOW_MS)
    page = await context.new_page()
    faults = await watched(page)
    await page.goto("/")
    if login is not None:
        await sign_in(page, login)
    yield page
    await context.close()
    assert faults == []


async def sign_in(page: Page, login: Login) -> None:
    await page.get_by_label("E-mail").fill(login.email)
    await page.get_by_label("Password", exact=True).fill(login.password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("navigation", name="Project")).to_be_visible(timeout=SLOW_MS)


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png")


async def stands(page: Page, name: str) -> None:
    """Look at what is shown now on a desk in the light and on a phone in the dark: nothing is wider than its screen."""
    before = page.viewport_size
    schemes: tuple[tuple[Literal["light", "dark"], tuple[int, int]], ...] = (("light", DESKTOP), ("dark", PHONE))
    for scheme, (width, height) in schemes:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": height})
        await picture(page, f"{name}-{scheme}")
        await fits(page, f"{name} in the {scheme}")
    await page.emulate_media(color_scheme="null")
    if before is not None:
        await page.set_viewport_size(before)


async def fits(page: Page, what: str) -> None:
    wide: Any = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{what} is {wide} px wider than its screen"


async def start_run(page: Page, year: str) -> None:
    """Run the example from its dialog and end on the run's page."""
    await page.goto("/p/weather/runs")
    await page.get_by_role("button", name="Run workflow").first.click()
    form = page.get_by_role("dialog", name="Run workflow")
    await form.get_by_label("Workflow").select_option(label="weather-report")
    await form.get_by_label("year").fill(year)
    await form.get_by_role("button", name="Start run").click()
    await expect(page.get_by_role("heading", name=re.compile("weather-report"))).to_be_visible(timeout=SLOW_MS)


async def test_a_wrong_password_is_told_and_the_right_one_leads_on(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, None) as page:
        await page.get_by_label("E-mail").fill(platform.owner_login.email)
        await picture(page, "sign-in-light")
        await page.get_by_label("Password", exact=True).fill("not this one")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_be_visible(timeout=SLOW_MS)
        await sign_in(page, platform.owner_login)
        await expect(page).to_have_url(re.compile("/p/weather/runs"), timeout=SLOW_MS)


async def test_a_run_is_started_watched_approved_and_read_and_a_reload_loses_nothing(
    browser: Browser, platform: Platform
) -> None:
    async with (
        visitor(browser, platform, platform.owner_login) as owner,
        visitor(browser, platform, platform.approver_login) as approver,
    ):
        await start_run(owner, "2013")
        steps = owner.get_by_role("treegrid", name="Steps")
        await expect(steps.get_by_role("row", name=re.compile("^analyse.*Running"))).to_be_visible(timeout=SLOW_MS)
        await picture(owner, "run-running-light")
        await owner.reload()
        await expect(steps.get_by_role("row", name=re.compile("^consent.*approval"))).to_be_visible(timeout=SLOW_MS)
        await expect(owner.get_by_text("Needs approval").first).to_be_visible(timeout=SLOW_MS)
        await expect(owner.get_by_text("somebody else has to answer")).to_be_visible(timeout=SLOW_MS)
        await picture(owner, "run-waiting-light")

        await approver.goto(owner.url)
        await approver.get_by_role("button", name=re.compile("^Approve")).first.click()
        await expect(owner.get_by_text("Succeeded").first).to_be_visible(timeout=SLOW_MS)
        await expect(steps.get_by_role("row", name=re.compile("^publish.*Succeeded"))).to_be_visible(timeout=SLOW_MS)
        await picture(owner, "run-done-light")

        await owner.get_by_role("link", name=re.compile("^Artifacts")).click()
        await owner.get_by_role("list", name="Artifacts").get_by_text("weather-2013.md").click()
        preview = owner.get_by_role("region", name="Preview of weather-2013.md")
        await expect(preview).to_contain_text("Seattle's weather in 2013", timeout=SLOW_MS)


async def test_a_run_is_cancelled_from_its_page(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as page:
        await start_run(page, "2012")
        await expect(page.get_by_text("Needs approval").first).to_be_visible(timeout=SLOW_MS)
        await page.get_by_role("button", name="Cancel run").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel this run").click()
        await expect(page.get_by_text("Cancelled").first).to_be_visible(timeout=SLOW_MS)
        await picture(page, "run-cancelled-dark")


async def test_a_mistake_in_a_workflow_is_shown_with_its_line_and_not_saved(
    browser: Browser, platform: Platform
) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto("/p/weather/workflows")
        await page.get_by_role("table", name="Workflows").get_by_role("link", name="weather-report").click()
        await expect(page.get_by_role("textbox", name="Definition")).to_contain_text("version: 1", timeout=SLOW_MS)
        await picture(page, "workflow-light")
        await page.get_by_role("navigation", name="Workflow").get_by_role("link", name="Edit").click()
        editor = page.get_by_role("textbox", name="Workflow definition")
        await editor.click()
        await page.keyboard.press("Control+End")
        await page.keyboard.type("nonsense: 1")
        problems = page.get_by_role("region", name="Problems")
        await expect(problems.get_by_role("button", name=re.compile(r"^\d+:1 .*nonsense"))).to_be_visible(
            timeout=SLOW_MS
        )
        await picture(page, "workflow-mistake-light")
        await page.get_by_role("button", name="Discard draft").click()


async def test_the_second_person_answers_from_the_inbox_with_a_reason(browser: Browser, platform: Platform) -> None:
    run = await platform.owner.post("/runs", {"project": "weather", "workflow": "weather-report", "input": {}})
    async with visitor(browser, platform, platform.approver_login, scheme="dark") as page:
        await page.goto("/p/weather/approvals")
        await page.get_by_role("list", name="Approvals").get_by_text("for 2015").first.click()
        await expect(page.get_by_role("region", name="Proposed request")).to_contain_text("stands out", timeout=SLOW_MS)
        await picture(page, "approvals-dark")
        await page.get_by_role("button", name="Reject", exact=True).click()
        dialog = page.get_by_role("dialog", name="Reject")
        await dialog.get_by_label("Reason").fill("The figures need a second look.")
        await dialog.get_by_role("button", name="Reject request").click()
        await expect(page.get_by_text("Rejected").first).to_be_visible(timeout=SLOW_MS)
        await page.goto(f"/p/weather/runs/{run['id']}")
        await expect(page.get_by_text("The figures need a second look.").first).to_be_visible(timeout=SLOW_MS)
        await picture(page, "run-failed-dark")
