"""A second factor that is demanded, from the key on the page to a recovery code, in a real Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from sparkops.core.clock import utc_now
from sparkops.core.config import load_settings
from sparkops.domains.identity import totp
from sparkops.local.supervisor import Supervisor
from tests.e2e.test_identity_pages import EMAIL, FIRST, leave, open_page, sign_in
from tests.e2e.test_pages import SLOW_MS, stands


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A platform without people that demands a second factor of its administrators."""
    settings = load_settings({"SPARKOPS_SECOND_FACTOR": "administrators"}, data_dir=tmp_path, port=0, workers=0)
    async with Supervisor(settings, by_link=True) as stack:
        yield stack


def code_of(key: str, steps: int = 0) -> str:
    return totp.code_of(key, totp.step_at(utc_now()) + steps)


async def sign_out(page: Page) -> None:
    await page.get_by_role("button", name="Your menu, Ada").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_label("Password", exact=True)).to_be_visible(timeout=SLOW_MS)


async def give_code(page: Page, code: str) -> None:
    form = page.get_by_role("form", name="Second factor")
    await form.get_by_label("Code").fill(code)
    await form.get_by_role("button", name="Sign in").click()


async def test_from_the_key_on_the_page_over_a_code_to_a_recovery_code(browser: Browser, strict: Supervisor) -> None:
    assert strict.set_up is not None
    context, page = await open_page(browser, strict, strict.set_up)
    projects = page.get_by_role("heading", name="Projects", exact=True)
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(FIRST)
    await page.get_by_role("button", name="Become the administrator").click()

    await expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible(timeout=SLOW_MS)
    await page.goto("/projects")
    await expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible(timeout=SLOW_MS)
    await stands(page, "second-factor-demanded")
    form = page.get_by_role("form", name="Set up a second factor")
    await form.get_by_label("Your password", exact=True).fill(FIRST)
    await form.get_by_role("button", name="Set up a second factor").click()
    form = page.get_by_role("form", name="Confirm the second factor")
    qr = form.get_by_role("img", name="The key as a QR code")
    await expect(qr).to_be_visible(timeout=SLOW_MS)
    assert await qr.evaluate("picture => picture.complete && picture.naturalWidth > 100"), "the policy lets it be shown"
    key = "".join((await form.locator("code").inner_text()).split())
    await stands(page, "second-factor-key")
    await form.get_by_label("Code that the app shows").fill("000000")
    await form.get_by_role("button", name="Confirm").click()
    await expect(form.get_by_text("Is wrong, has run out")).to_be_visible(timeout=SLOW_MS)
    await form.get_by_label("Code that the app shows").fill(code_of(key, -1))
    await form.get_by_role("button", name="Confirm").click()
    codes = page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    await expect(codes).to_have_count(totp.RECOVERY_CODES, timeout=SLOW_MS)
    paper = await codes.all_inner_texts()
    await stands(page, "second-factor-recovery-codes")
    await page.get_by_role("button", name="I have kept them").click()
    await expect(projects).to_be_visible(timeout=SLOW_MS)

    await sign_out(page)
    await sign_in(page, FIRST)
    await expect(page.get_by_role("form", name="Second factor")).to_be_visible(timeout=SLOW_MS)
    await give_code(page, "000000")
    await expect(page.get_by_role("alert")).to_contain_text("wrong", timeout=SLOW_MS)
    await stands(page, "second-factor-code")
    await give_code(page, code_of(key))
    await expect(projects).to_be_visible(timeout=SLOW_MS)

    await sign_out(page)
    await sign_in(page, FIRST)
    await give_code(page, paper[0].lower())
    await expect(projects).to_be_visible(timeout=SLOW_MS)
    await page.goto("/me")
    section = page.get_by_role("region", name="Second factor")
    await expect(section.get_by_text("9 recovery codes left")).to_be_visible(timeout=SLOW_MS)
    await stands(page, "second-factor-account")
    await page.goto("/admin/users")
    await expect(page.get_by_role("row", name=EMAIL)).to_contain_text("Yes", timeout=SLOW_MS)
    await stands(page, "second-factor-users")

    await page.goto("/me")
    await section.get_by_role("button", name="Remove").click()
    form = section.get_by_role("form", name="Remove the second factor")
    await form.get_by_label("Your password", exact=True).fill(FIRST)
    await form.get_by_label("Code").fill(paper[1])
    await form.get_by_role("button", name="Remove the second factor").click()
    await expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible(timeout=SLOW_MS)
    await leave(context)
