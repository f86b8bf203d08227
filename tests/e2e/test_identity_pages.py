"""Signing in and all around it, in a real Chromium on a platform of its own that nobody has set up yet."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from pydantic import SecretStr

from sparkops.api.oidc import CALLBACK
from sparkops.core.config import Oidc, load_settings
from sparkops.local.supervisor import Supervisor
from tests.api.openid import CLIENT_ID, CLIENT_SECRET, free_port, provider_for
from tests.e2e.conftest import watched
from tests.e2e.test_pages import SLOW_MS, stands

FIRST, SECOND, THIRD = "three kettles on the shore", "nine umbrellas in the attic", "a heron behind the mill"
EMAIL = "ada@example.com"
FAULTS: dict[BrowserContext, list[str]] = {}


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A platform without people, as the first `sparkops up` leaves it."""
    async with Supervisor(load_settings({}, data_dir=tmp_path, port=0, workers=0), by_link=True) as stack:
        yield stack


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A platform where people of a real OpenID provider sign in."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with provider_for(url + CALLBACK) as provider:
        provider.knows("ann-17", email="ann@example.com", email_verified=True, name="Ann Elk", groups=["roots"])
        oidc = {
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "client_secret": SecretStr(CLIENT_SECRET),
            "label": "Elk",
            "scopes": ("openid", "email", "profile", "groups"),
            "new_users": "anybody",
            "admin_groups": ("roots",),
        }
        changed = {
            "public_url": url,
            "egress_allow": (f"127.0.0.1:{provider.port}",),
            "oidc": Oidc.model_validate(oidc),
        }
        settings = load_settings({}, data_dir=tmp_path, port=port, workers=0).model_copy(update=changed)
        async with Supervisor(settings) as stack:
            yield stack


async def open_page(browser: Browser, stack: Supervisor, path: str = "/") -> tuple[BrowserContext, Page]:
    """A browser of its own; fails later if the page complained."""
    context = await browser.new_context(base_url=stack.endpoints.api_url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SLOW_MS)
    page = await context.new_page()
    FAULTS[context] = await watched(page)
    await page.goto(path)
    return context, page


async def open_set_up(browser: Browser, stack: Supervisor) -> tuple[BrowserContext, Page]:
    """A browser at the form for the first administrator."""
    assert stack.set_up is not None
    return await open_page(browser, stack, stack.set_up)


async def leave(context: BrowserContext) -> None:
    """Close a browser; its pages had no error, and their policy refused nothing."""
    await context.close()
    assert FAULTS.pop(context) == []


async def sign_in(page: Page, password: str) -> None:
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_from_the_first_link_over_sessions_to_a_forgotten_password(browser: Browser, fresh: Supervisor) -> None:
    assert fresh.set_up is not None
    stranger, page = await open_page(browser, fresh)
    await expect(page.get_by_text("Nobody is here yet")).to_be_visible(timeout=SLOW_MS)
    await stands(page, "sign-in-nobody-is-here")
    await page.goto("/setup#" + "A" * 43)
    await expect(page.get_by_role("alert")).to_be_visible(timeout=SLOW_MS)
    await leave(stranger)

    here, page = await open_set_up(browser, fresh)
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill("password1")
    await page.get_by_role("button", name="Become the administrator").click()
    await expect(page.get_by_text("It is a common one")).to_be_visible(timeout=SLOW_MS)
    await stands(page, "set-up")
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
    await stands(page, "account")
    await rows.filter(has_not_text="This one").get_by_role("button", name="End").click()
    await expect(rows).to_have_count(1, timeout=SLOW_MS)
    await other.goto("/projects")
    await expect(other.get_by_label("Password", exact=True)).to_be_visible(timeout=SLOW_MS)
    await leave(there)

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
    await stands(page, "link-reset")
    await page.get_by_label("New password", exact=True).fill(THIRD)
    await page.get_by_role("button", name="Choose this password").click()
    await expect(page).to_have_url(re.compile("/login"), timeout=SLOW_MS)
    await sign_in(page, SECOND)
    await expect(page.get_by_role("alert")).to_contain_text("wrong", timeout=SLOW_MS)
    await sign_in(page, THIRD)
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)

    await page.goto(link)
    await expect(page.get_by_role("alert")).to_contain_text("was used", timeout=SLOW_MS)
    await stands(page, "link-used")
    await leave(here)


async def test_somebody_is_invited_on_the_page_of_people_and_comes_in_by_the_link(
    browser: Browser, fresh: Supervisor
) -> None:
    assert fresh.set_up is not None
    root, page = await open_set_up(browser, fresh)
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(FIRST)
    await page.get_by_role("button", name="Become the administrator").click()
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)
    await page.goto("/admin/users")
    await page.get_by_role("button", name="Invite").first.click()
    form = page.get_by_role("dialog")
    await form.get_by_label("E-mail").fill("kim@example.com")
    await form.get_by_label("Name").fill("Kim")
    await stands(page, "invite")
    await form.get_by_role("button", name=re.compile("Invite|Add")).click()
    shown = page.get_by_text(re.compile(r"/reset#[A-Za-z0-9_-]{43}$"))
    await expect(shown).to_be_visible(timeout=SLOW_MS)
    await stands(page, "invited")
    link = await shown.inner_text()
    await leave(root)

    kim, page = await open_page(browser, fresh, link)
    await expect(page.get_by_text("kim@example.com")).to_be_visible(timeout=SLOW_MS)
    await stands(page, "link-invite")
    await page.get_by_label(re.compile("assword")).first.fill(SECOND)
    await page.get_by_role("button", name="Choose this password").click()
    await expect(page).to_have_url(re.compile("/login"), timeout=SLOW_MS)
    await page.goto("/forgot")
    await expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=SLOW_MS)
    await stands(page, "forgot")
    await page.goto("/login")
    await page.get_by_label("E-mail").fill("kim@example.com")
    await page.get_by_label("Password", exact=True).fill(SECOND)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible(timeout=SLOW_MS)
    await leave(kim)


async def test_somebody_of_an_openid_provider_signs_in_with_its_button(browser: Browser, federated: Supervisor) -> None:
    context, page = await open_page(browser, federated, "/me")
    await expect(page.get_by_label("Password", exact=True)).to_be_visible(timeout=SLOW_MS)
    await stands(page, "sign-in-with-provider")
    await page.get_by_role("link", name="Sign in with Elk").click()
    await page.locator("input[name=login]").fill("ann-17")
    await page.locator("input[name=password]").fill("whatever it takes")
    await page.locator("button[type=submit]").click()
    await page.get_by_role("button", name=re.compile("Continue")).click()
    await expect(page).to_have_url(re.compile("/me$"), timeout=SLOW_MS)
    await expect(page.get_by_text("ann@example.com")).to_be_visible(timeout=SLOW_MS)
    await page.get_by_role("button", name="Your menu, Ann Elk").click()
    await page.get_by_role("menuitem", name="People").click()
    people = page.get_by_role("table", name="People").get_by_role("row")
    await expect(people.filter(has_text="ann@example.com")).to_contain_text("Administrator", timeout=SLOW_MS)

    await leave(context)

    refused, page = await open_page(browser, federated, "/login?refused=unknown")
    await expect(page.get_by_role("alert")).to_contain_text("Nobody has added you here", timeout=SLOW_MS)
    await stands(page, "sign-in-refused")
    await leave(refused)
