"""Budgets in a real Chromium: one is defined, filled, waited for, raised, and the run that waited goes on."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Platform
from tests.e2e.test_engine_pages import PROJECT, ended, row, seen, start
from tests.e2e.test_kills import until
from tests.e2e.test_pages import SLOW_MS, picture, visitor

pytestmark = pytest.mark.xdist_group("platform")

BILL = """
version: 1
name: bill
steps:
  - id: count
    type: llm
    with:
      model: scripted
      prompt: What do we owe?
      max_output_tokens: 500
      script:
        price: {input_usd_per_million: 4, output_usd_per_million: 8}
        turns: [{text: "Four cents.", usage: {input_tokens: 9000, output_tokens: 500}}]
  - {id: file, type: tool, tool: noop, needs: [count]}
"""


async def define(page: Page) -> None:
    """Define a budget of ten cents a day for the workflow, on the page."""
    await page.goto(f"/p/{PROJECT}/budgets")
    await page.get_by_role("button", name="New budget").first.click()
    form = page.get_by_role("dialog", name="New budget")
    await form.get_by_label("Name").fill("Bills")
    await form.get_by_label("For", exact=True).select_option(label="Workflows")
    await form.get_by_label("Which", exact=True).select_option(label="bill")
    await form.get_by_label("Period").select_option(label="Per day")
    await form.get_by_label("Time zone").fill("Nowhere/Else")
    await form.get_by_role("button", name="Define budget").click()
    await expect(form.get_by_text("Set at least one limit.")).to_be_visible(timeout=SLOW_MS)
    await form.get_by_label("Money, in US dollars").fill("0.10")
    await picture(page, "budget-new-light")
    await form.get_by_role("button", name="Define budget").click()
    await expect(form.get_by_role("alert")).to_contain_text("time zone", timeout=SLOW_MS)
    await form.get_by_label("Time zone").fill("UTC")
    await form.get_by_role("button", name="Define budget").click()
    await expect(page.get_by_role("heading", name=re.compile("Bills"))).to_be_visible(timeout=SLOW_MS)


async def waits(platform: Platform, run_id: str) -> None:
    async def there() -> bool:
        steps = (await platform.owner.get(f"/runs/{run_id}/steps"))["items"]
        return any(step["status"] == "waiting" for step in steps)

    await until(there)


async def test_a_budget_is_defined_fills_lets_a_run_wait_and_lets_it_go_on_when_it_is_raised(
    browser: Browser, platform: Platform
) -> None:
    await platform.owner.post("/workflows", {"project": PROJECT, "source": BILL})
    async with visitor(browser, platform, platform.owner_login) as page:
        await define(page)
        for _ in range(2):
            await ended(platform, await start(platform, BILL), "succeeded")
        last = await start(platform, BILL)
        await waits(platform, last)

        await page.goto(f"/p/{PROJECT}/budgets")
        await seen(page.get_by_role("table", name="Budgets").get_by_text("1 step"))
        await seen(page.get_by_role("meter", name=re.compile(r"^\$0\.08 of \$0\.10 used")))
        await picture(page, "budgets-light")

        await page.goto(f"/p/{PROJECT}/runs/{last}")
        await seen(row(page, "^count, .*Waits for a budget"))
        await row(page, "^count").click()
        await picture(page, "run-waits-for-budget-light")
        await page.get_by_role("link", name="Bills").click()

        await seen(page.get_by_text("1 step is waiting for this budget"))
        await seen(page.get_by_role("img", name=re.compile(r"^\$0\.08 spent by .*of \$0\.10")))
        await seen(page.get_by_role("table", name="Reached thresholds").get_by_text("80 % of money"))
        await seen(page.get_by_role("table", name="Reached thresholds").get_by_text("100 % of money"))
        await picture(page, "budget-light")
        await page.emulate_media(color_scheme="dark")
        await picture(page, "budget-dark")
        await page.emulate_media(color_scheme="light")

        await page.get_by_role("button", name="Change budget").click()
        form = page.get_by_role("dialog", name="Change budget")
        await form.get_by_label("Money, in US dollars").fill("0.25")
        await picture(page, "budget-change-light")
        await form.get_by_role("button", name="Save budget").click()
        await ended(platform, last, "succeeded")
        await seen(page.get_by_role("meter", name=re.compile(r"^\$0\.12 of \$0\.25 used")))
        await expect(page.get_by_text("waiting for this budget")).to_be_hidden(timeout=SLOW_MS)

        await page.goto(f"/p/{PROJECT}/runs/{last}/cost")
        costs = page.get_by_role("table", name="Costs by step")
        await seen(costs.get_by_text("$0.04"))
        await seen(page.get_by_role("table", name="Budgets of this run").get_by_role("link", name="Bills"))
        await picture(page, "run-cost-light")
        await page.emulate_media(color_scheme="dark")
        await picture(page, "run-cost-dark")


async def test_a_run_that_a_budget_asks_about_begins_when_a_second_person_lets_it(
    browser: Browser, platform: Platform
) -> None:
    await platform.owner.post(
        "/budgets",
        {
            "project": PROJECT,
            "name": "Few runs",
            "scope": "project",
            "period": "day",
            "limit_runs": 0,
            "thresholds": [{"percent": 100, "action": "require_approval"}],
        },
    )
    async with (
        visitor(browser, platform, platform.owner_login) as page,
        visitor(browser, platform, platform.approver_login) as other,
    ):
        await page.goto(f"/p/{PROJECT}/runs")
        await page.get_by_role("button", name="Run workflow").first.click()
        form = page.get_by_role("dialog", name="Run workflow")
        await form.get_by_label("Workflow").select_option(label="weather-report")
        await form.get_by_label("year").fill("2014")
        await form.get_by_role("button", name="Start run").click()
        await expect(page.get_by_role("heading", name=re.compile("weather-report"))).to_be_visible(timeout=SLOW_MS)
        await expect(page.get_by_text("You started this run, so somebody else has to answer.")).to_be_visible()
        await expect(page.get_by_role("list", name="Budgets that ask")).to_contain_text(
            "Few runs: 0 of 0 runs are used"
        )
        await picture(page, "run-asked-about-by-budget-light")
        await other.goto(f"/p/{PROJECT}/approvals?state=mine")
        await other.get_by_text("May a run of weather-report begin?").first.click()
        await expect(other.get_by_text("Asked by a budget, not a policy.")).to_be_visible(timeout=SLOW_MS)
        await picture(other, "inbox-run-asked-about-by-budget-light")
        await other.get_by_role("button", name="Approve", exact=True).click()
        await expect(page.get_by_role("region", name="Needs approval")).to_be_hidden(timeout=SLOW_MS)
        await page.goto(f"/p/{PROJECT}/budgets")
        await page.get_by_role("link", name="Few runs").click()
        await page.get_by_role("button", name="Archive", exact=True).click()
        await page.get_by_role("button", name="Archive budget").click()
        await expect(page.get_by_text(re.compile("^Archived")).first).to_be_visible(timeout=SLOW_MS)


async def test_a_budget_of_the_installation_is_defined_for_one_person(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/budgets")
        await page.get_by_role("button", name="New budget").first.click()
        form = page.get_by_role("dialog", name="New budget")
        scope, which = form.get_by_label("For", exact=True), form.get_by_label("Which", exact=True)
        await scope.select_option(label="API keys")
        await expect(which.locator("option")).to_contain_text(["Each API key"], timeout=SLOW_MS)
        await form.get_by_label("Applies to").select_option(label="The whole installation")
        assert await scope.locator("option").all_inner_texts() == [
            "The installation",
            "Projects",
            "People",
            "API keys",
            "Runs",
        ]
        await scope.select_option(label="People")
        await expect(which.locator("option").nth(1)).to_be_attached(timeout=SLOW_MS)
        await which.select_option(label="Approver")
        await form.get_by_label("Name").fill("One hand")
        await form.get_by_label("Calls").fill("1000000")
        await picture(page, "budget-new-installation-light")
        await form.get_by_role("button", name="Define budget").click()
        await expect(page.get_by_role("heading", name=re.compile("One hand"))).to_be_visible(timeout=SLOW_MS)
        await expect(page.get_by_text("Approver", exact=True).first).to_be_visible()
        await expect(page.get_by_text("Whole installation")).to_be_visible()
        await picture(page, "budget-installation-light")
        await page.get_by_role("button", name="Archive", exact=True).click()
        await page.get_by_role("button", name="Archive budget").click()
        await expect(page.get_by_text(re.compile("^Archived")).first).to_be_visible(timeout=SLOW_MS)
