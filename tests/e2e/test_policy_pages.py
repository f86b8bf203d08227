"""Policies in a real Chromium: written with a mistake, mended, backtested, published, met by a run, looked into."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from sparkops.core.client import ApiRefused
from tests.e2e.conftest import Platform
from tests.e2e.test_engine_pages import PROJECT, ended, seen, start
from tests.e2e.test_pages import SLOW_MS, picture, stands, visitor

pytestmark = pytest.mark.xdist_group("platform")

NOTES = """
version: 1
name: notes
input: {properties: {name: {type: string, default: plan.txt}}}
steps:
  - {id: write, type: tool, tool: files.write, with: {name: "${{ input.name }}", content: hello}}
"""
POLICY = """\
version: 1
name: no-programs
description: Nobody keeps programs among the files of a run.
rules:
  - name: programs
    on: [tool.call]
    effect: deny
    reason: Programs are not kept here.
    severity: high
    when: args.name.endsWith(".exe") && tool.nam
tests:
  - name: a note is kept
    on: tool.call
    facts: {tool.name: files.write, args: {name: plan.txt}}
    expect: allow
"""
MENDED = POLICY.replace("tool.nam\n", "tool.name ==  'files.write'\n")
NO_WORMS = MENDED.replace("no-programs", "no-worms")
ON_RUNS = """\
version: 1
name: no-{name}
mode: {mode}
rules:
  - {{name: no-{name}, on: [run.create], workflows: [notes], effect: deny, reason: Not today.}}
"""


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Policy").get_by_role("link", name=re.compile(f"^{name}"))


async def write(page: Page, text: str) -> None:
    """Replace what the editor holds."""
    await page.get_by_role("textbox", name="Policy").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text)


async def withdrawn(platform: Platform) -> None:
    """Leave the project as the other tests expect it."""
    page: Mapping[str, Any] = await platform.owner.get("/policies", project=PROJECT)
    for one in page["items"]:
        if one["name"].startswith("no-"):
            await platform.owner.post(f"/policies/{one['id']}/withdraw", {})


async def test_a_policy_is_written_with_a_mistake_mended_backtested_published_and_met(
    browser: Browser, platform: Platform
) -> None:
    before = await start(platform, NOTES, name="virus.exe")
    await ended(platform, before, "succeeded")
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/policies")
        await seen(page.get_by_role("table", name="Policies").get_by_role("link", name="project"))
        await seen(page.get_by_text("Default: allow."))
        await picture(page, "policies-light")
        await page.get_by_role("link", name="New policy").click()

        await write(page, POLICY)
        problems = page.get_by_role("region", name="Problems")
        await seen(problems.get_by_role("button", name=re.compile("^10:.*tool.nam")))
        await picture(page, "policy-mistake-light")
        await write(page, MENDED.replace("tool.name ==  'files.write'", "tool."))
        await problems.get_by_role("button", name=re.compile("^10:")).first.click()
        await page.keyboard.press("End")
        await page.keyboard.type("na")
        offered = page.get_by_role("listbox").get_by_role("option", name=re.compile("^tool.name"))
        await seen(offered)
        await picture(page, "policy-completion-light")
        await offered.click()  # the editor takes Enter for a line break where it follows the list at once
        await page.keyboard.type(' == "files.write"')
        await seen(problems.get_by_text("No problems"))
        await seen(page.get_by_role("region", name="Tests").get_by_text("1 test passed"))
        await seen(page.get_by_text("Not reached: programs"))
        await picture(page, "policy-tests-light")
        await page.get_by_role("button", name="Save policy").click()
        await seen(page.get_by_role("list", name="Rules").get_by_role("listitem", name="programs"))
        await seen(page.get_by_text("Not in force"))
        await picture(page, "policy-rules-light")

        await tab(page, "Backtest").click()
        await page.get_by_role("button", name="Run backtest").click()
        result = page.get_by_role("article", name="Backtest")
        await expect(result.get_by_text("Done", exact=True)).to_be_visible(timeout=3 * SLOW_MS)
        flips = result.get_by_role("table", name="Flips")
        await seen(flips.get_by_role("row", name=re.compile("Newly denied.*files.write.*programs of no-programs")))
        await picture(page, "policy-backtest-light")

        await page.get_by_role("button", name="Publish version 1").click()
        dialog = page.get_by_role("dialog", name="Publish version 1 of no-programs?")
        now = dialog.get_by_role("button", name="Publish now")
        await expect(now).to_be_enabled(timeout=3 * SLOW_MS)
        await seen(dialog.get_by_text("It would have meant"))
        await dialog.get_by_label("Why").fill("Somebody kept a virus.")
        await picture(page, "policy-publish-light")
        await now.click()
        await seen(page.get_by_text("In force").first)
    await withdrawn(platform)


async def test_a_run_that_a_policy_met_shows_why_and_its_decision_becomes_a_test(
    browser: Browser, platform: Platform
) -> None:
    saved: Mapping[str, Any] = await platform.owner.post("/policies", {"project": PROJECT, "source": NO_WORMS})
    published = {"version": 1, "note": "Somebody kept a virus."}
    await platform.owner.post(f"/policies/{saved['policy']['id']}/publish", published)
    async with visitor(browser, platform, platform.owner_login) as page:
        await ended(platform, await start(platform, NOTES), "succeeded")
        met = await start(platform, NOTES, name="worm.exe")
        await ended(platform, met, "failed")
        await page.goto(f"/p/{PROJECT}/runs/{met}/policy")
        await page.get_by_role("table", name="Decisions").get_by_role("link", name="Denied, files.write").click()
        decision = page.get_by_role("complementary", name="Decision")
        await seen(decision.get_by_text("Programs are not kept here."))
        await seen(decision.get_by_role("region", name="Facts").get_by_text("worm.exe"))
        await seen(decision.get_by_text("the same, by programs"))
        await picture(page, "run-policy-light")

        await decision.get_by_role("button", name="Make a test of no-worms").click()
        await seen(page.get_by_role("region", name="Tests").get_by_text("2 tests passed"))
        await picture(page, "policy-case-light")
        await page.get_by_role("button", name="Save as new version").click()
        await seen(page.get_by_role("button", name="Publish version 2"))
        await tab(page, "Versions").click()
        await seen(page.get_by_role("region", name="Changes from version 1 to version 2", exact=True))
        await seen(page.get_by_role("region", name="Published").get_by_text("Somebody kept a virus."))
        await picture(page, "policy-versions-light")
        await tab(page, "Decisions").click()
        await seen(page.get_by_role("table", name="Decisions").get_by_role("row", name=re.compile("Denied.*programs")))
        await picture(page, "policy-decisions-light")

        await page.get_by_role("navigation", name="Project").get_by_role("link", name="Decisions").click()
        listed = page.get_by_role("table", name="Decisions")
        await seen(listed.get_by_role("row", name=re.compile("Allowed.*Default: no rule matched")).first)
        await stands(page, "decisions")
        await page.get_by_role("button", name="Denied", exact=True).click()
        await page.get_by_role("combobox", name="Policy").select_option(label="no-worms")
        await page.get_by_role("searchbox", name="Run id").fill(met)
        await page.get_by_role("searchbox", name="Run id").press("Enter")
        await expect(page).to_have_url(re.compile(rf"outcome=deny.*policy=.*run={met}"))
        await page.get_by_role("combobox", name="Time").select_option(label="Between …")
        await page.get_by_label("From").fill("2020-01-01T00:00")
        await expect(page).to_have_url(re.compile("span=between&since="))
        await expect(listed.get_by_role("link")).to_have_count(1, timeout=SLOW_MS)
        await stands(page, "decisions-filtered")
        await listed.get_by_role("link", name="Denied, files.write").click()
        await expect(page).to_have_url(re.compile(f"/p/{PROJECT}/decisions/"))
        await seen(page.get_by_text("Programs are not kept here."))
        await page.go_back()
        await expect(listed.get_by_role("link")).to_have_count(1, timeout=SLOW_MS)
    await withdrawn(platform)


async def test_a_violation_is_acknowledged_with_a_note_and_resolved(browser: Browser, platform: Platform) -> None:
    policy = NO_WORMS.replace("no-worms", "no-worms-either")
    saved: Mapping[str, Any] = await platform.owner.post("/policies", {"project": PROJECT, "source": policy})
    policy_id = saved["policy"]["id"]
    await platform.owner.post(f"/policies/{policy_id}/publish", {"version": 1})
    run_id = await start(platform, NOTES, name="worm.exe")
    await ended(platform, run_id, "failed")
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as page:
        await page.goto(f"/p/{PROJECT}/violations")
        await page.get_by_role("list", name="Violations").get_by_role("link", name=re.compile("programs")).first.click()
        article = page.get_by_role("article", name="programs")
        await seen(article.get_by_text("files.write was denied"))
        await article.get_by_label("Note").fill("I look into it.")
        await article.get_by_role("button", name="Acknowledge").click()
        await seen(article.get_by_role("list", name="Notes").get_by_text("I look into it."))
        await picture(page, "violation-dark")
        await article.get_by_role("button", name="Resolve").click()
        await seen(article.get_by_role("button", name="Reopen"))
        await page.goto(f"/p/{PROJECT}/policies/{policy_id}/rules")
        await page.get_by_role("button", name="Withdraw").click()
        await page.get_by_role("dialog").get_by_role("button", name="Withdraw now").click()
        await seen(page.get_by_text("Not in force"))
        await picture(page, "policy-rules-dark")


async def test_the_violation_of_a_refused_run_leads_to_its_decision(browser: Browser, platform: Platform) -> None:
    await ended(platform, await start(platform, NOTES), "succeeded")
    ids = {}
    for name, mode in (("watched", "monitor"), ("starts", "enforce")):
        source = ON_RUNS.format(name=name, mode=mode)
        saved: Mapping[str, Any] = await platform.owner.post("/policies", {"project": PROJECT, "source": source})
        ids[name] = saved["policy"]["id"]
        await platform.owner.post(f"/policies/{ids[name]}/publish", {"version": 1})
    with pytest.raises(ApiRefused):
        await platform.owner.post("/runs", {"project": PROJECT, "workflow": "notes", "input": {}})
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/violations")
        listed = page.get_by_role("list", name="Violations")
        await listed.get_by_role("link", name=re.compile("no-starts")).first.click()
        article = page.get_by_role("article", name="no-starts")
        await seen(article.get_by_text("notes was denied"))
        await picture(page, "violation-refused-light")
        await article.get_by_role("link", name="See the decision and its facts").click()
        await seen(page.get_by_text("The run was refused before it began, so there is none."))
        await seen(page.get_by_role("button", name="Make a test of no-starts"))
        await picture(page, "decision-refused-light")
        await page.goto(f"/p/{PROJECT}/policies/{ids['watched']}/decisions")
        watched = re.compile("Denied.*no-starts.*monitored: no-watched would have denied this")
        await seen(page.get_by_role("table", name="Decisions").get_by_role("row", name=watched))
        await picture(page, "policy-decisions-watched-light")
    await withdrawn(platform)


async def test_the_default_and_the_zone_of_a_project_are_changed(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as page:
        await page.goto(f"/p/{PROJECT}/policies")
        await page.get_by_role("button", name="Change").click()
        dialog = page.get_by_role("dialog", name="Default and time zone")
        await dialog.get_by_label("Time zone").fill("Mars/Olympus")
        await dialog.get_by_role("button", name="Save").click()
        await seen(dialog.get_by_role("alert"))
        await picture(page, "judging-dark")
        await dialog.get_by_label("Time zone").fill("Europe/Berlin")
        await dialog.get_by_role("button", name="Save").click()
        await seen(page.get_by_text("Time zone: Europe/Berlin"))
        await page.get_by_role("table", name="Policies").get_by_role("link", name="outward").click()
        rule = page.get_by_role("list", name="Rules").get_by_role("listitem", name="untrusted-meets-private")
        await seen(rule.get_by_text("Somebody has to agree."))
        await picture(page, "policy-consent-dark")
