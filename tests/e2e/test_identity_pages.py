"""Signing in and all around it, in a real Chromium on a platform of its own that nobody has set up yet."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from sparkops.core.config import load_settings
from sparkops.local.supervisor import Supervisor
from tests.e2e.test_pages import SLOW_MS, picture

FIRST, SECOND, THIRD = "three kettles on the shore", "nine umbrellas in the attic", "a heron behind the mill"
EMAIL = "ada@example.com"


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A platform without people, as the first `sparkops up` leaves it."""
    async with Supervisor(load_settings({}, data_dir=tmp_path, port=0, workers=0), by_link=True) as stack:
        yield stack


async def open_page(browser: Browser, stack: Supervisor, path: str = "/") -> tuple[BrowserContext, Page]:
    """A browser of its own; fails later if the page complained."""
    context = await browser.new_context(base_url=stack.endpoints.api_url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SLOW_MS)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    await page.goto(path)
    return context, page


async def sign_in(page: Page, password: str) -> None:
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_from_the_first_link_over_sessions_to_a_forgotten_password(browser: Browser, fresh: Supervisor) -> None:
    assert fresh.set_up is not None
    stranger, page = await open_page(browser, fresh)
    await expect(page.get_by_text("Nobody is here yet")).to_be_visible(timeout=SLOW_MS)
    await page.goto("/setup#" + "A" * 43)
    await expect(page.get_by_role("alert")).to_be_visible(timeout=SLOW_MS)
    await stranger.close()

    here, page = await open_page(browser, fresh, fresh.set_up.path)
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill("password1")
    await page.get_by_role("button", name="Become the administrator").click()
    await expect(page.get_by_text("It is a common one")).to_be_visible(timeout=SLOW_MS)
    await picture(page, "set-up")
    await page.get_by_label("Password", exact=True).fill(FIRST)
    await page.get_by_role("button", name="Become the administrator").click()
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)

    there, other = await open_page(browser, fresh)
    await sign_in(other, FIRST)
    await expect(other.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)

    await page.get_by_role("button", name="Your menu, Ada").click()
    await page.get_by_role("menuitem", name="Your account").click()
    rows = page.get_by_role("table", name="Sessions").get_by_role("row").filter(has_text="Linux")
    await expect(rows).to_have_count(2, timeout=SLOW_MS)
    await picture(page, "account")
    await rows.filter(has_not_text="This one").get_by_role("button", name="End").click()
    await expect(rows).to_have_count(1, timeout=SLOW_MS)
    await other.goto("/projects")
    await expect(other.get_by_label("Password", exact=True)).to_be_visible(timeout=SLOW_MS)
    await there.close()

    form = page.get_by_role("form", name="Password")
    await form.get_by_label("Present password", exact=True).fill(FIRST)
    await form.get_by_label("New password", exact=True).fill(SECOND)
    await form.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Password changed")).to_be_visible(timeout=SLOW_MS)
    await page.reload()
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible(timeout=SLOW_MS)

    me = await page.evaluate("fetch('/api/v1/auth/refresh', {method: 'POST'}).then(answer => answer.json())")
    bearer = {"Authorization": f"Bearer {me['access_token']}"}
    made = await page.request.post(f"/api/v1/users/{me['user']['id']}/link", headers=bearer)
    link = (await made.json())["link"]
    await page.goto(link)
    await expect(page.get_by_text(EMAIL)).to_be_visible(timeout=SLOW_MS)
    await page.get_by_label("New password", exact=True).fill(THIRD)
    await page.get_by_role("button", name="Choose this password").click()
    await expect(page).to_have_url(re.compile("/login"), timeout=SLOW_MS)
    await sign_in(page, SECOND)
    await expect(page.get_by_role("alert")).to_contain_text("wrong", timeout=SLOW_MS)
    await sign_in(page, THIRD)
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)

    await page.goto(link)
    await expect(page.get_by_role("alert")).to_contain_text("was used", timeout=SLOW_MS)
    await here.close()
