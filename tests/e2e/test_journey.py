"""One rule from its first mistake to what it cost, as a developer, an approver and who looks back meet it."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Platform
from tests.e2e.test_approvals import question_of
from tests.e2e.test_engine_pages import PROJECT, ended, run_status, seen, start
from tests.e2e.test_pages import SLOW_MS, picture, stands, visitor
from tests.e2e.test_policy_pages import withdrawn, write

pytestmark = pytest.mark.xdist_group("platform")

MEMO = """
version: 1
name: memo
input: {properties: {text: {type: string}}, required: [text]}
steps:
  - id: think
    type: llm
    with:
      model: scripted
      prompt: Say it nicely.
      max_output_tokens: 500
      script:
        price: {input_usd_per_million: 4, output_usd_per_million: 8}
        turns: [{text: Nicely said., usage: {input_tokens: 9000, output_tokens: 500}}]
  - {id: keep, type: tool, tool: files.write, needs: [think], with: {name: memo.md, content: "${{ input.text }}"}}
"""
POLICY = """\
version: 1
name: no-memo-unread
rules:
  - name: read-it-first
    on: [tool.call]
    tools: [files.write]
    workflows: [memo]
    effect: require_approval
    reason: A memo is read before it is kept.
    approval: {approvers: [operator], may_edit: true}
    when: size(args.content) > WRONG
"""


async def test_a_rule_is_written_tried_published_met_agreed_to_with_a_change_and_looked_back_at(
    browser: Browser, platform: Platform
) -> None:
    await ended(platform, await start(platform, MEMO, text="All is well, and has been."), "succeeded")
    try:
        async with (
            visitor(browser, platform, platform.owner_login) as owner,
            visitor(browser, platform, platform.approver_login) as approver,
        ):
            await _write_and_publish(owner)
            run_id = await _run(owner)
            await _agree_with_a_change(approver, platform, run_id)
            await ended(platform, run_id, "succeeded")
            sent = [one for one in (await platform.owner.get(f"/runs/{run_id}/calls"))["items"] if one["edit"]]
            assert [one["name"] for one in sent] == ["files.write"]
            await _look_back(owner, run_id)
    finally:
        await withdrawn(platform)
    files = (await platform.owner.get(f"/runs/{run_id}/artifacts"))["items"]
    assert await platform.owner.content(f"/artifacts/{files[0]['id']}/content") == b"All is well, which is good."
    assert await run_status(platform, run_id) == "succeeded"


async def _write_and_publish(page: Page) -> None:
    await page.goto(f"/p/{PROJECT}/policies/new")
    await write(page, POLICY)
    problems = page.get_by_role("region", name="Problems")
    await seen(problems.get_by_role("button", name=re.compile("^11:.*WRONG")))
    await stands(page, "journey-mistake")
    await write(page, POLICY.replace("WRONG", "10"))
    await seen(problems.get_by_text("No problems"))
    await page.get_by_role("button", name="Save policy").click()
    await page.get_by_role("navigation", name="Policy").get_by_role("link", name=re.compile("^Backtest")).click()
    await page.get_by_role("button", name="Run backtest").click()
    result = page.get_by_role("article", name="Backtest")
    await expect(result.get_by_text("Done", exact=True)).to_be_visible(timeout=3 * SLOW_MS)
    await seen(result.get_by_role("row", name=re.compile("Newly held.*files.write.*read-it-first")))
    await stands(page, "journey-backtest")
    await page.get_by_role("button", name="Publish version 1").click()
    now = page.get_by_role("dialog").get_by_role("button", name="Publish now")
    await expect(now).to_be_enabled(timeout=3 * SLOW_MS)
    await now.click()
    await seen(page.get_by_text("In force"))


async def _run(page: Page) -> str:
    await page.goto(f"/p/{PROJECT}/runs")
    await page.get_by_role("button", name="Run workflow").first.click()
    form = page.get_by_role("dialog", name="Run workflow")
    await form.get_by_label("Workflow").select_option(label="memo")
    await form.get_by_label("text").fill("All is lost, which is bad.")
    await form.get_by_role("button", name="Start run").click()
    await expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}"), timeout=SLOW_MS)
    await seen(page.get_by_text("Needs approval"))
    found = re.search(r"/runs/([0-9a-f-]{36})", page.url)
    assert found
    return found[1]


async def _agree_with_a_change(page: Page, platform: Platform, run_id: str) -> None:
    question = await question_of(platform, run_id)
    await page.goto(f"/p/{PROJECT}/approvals?state=mine&item={question['id']}")
    await seen(page.get_by_role("article", name=question["title"]).get_by_text("A memo is read before it is kept."))
    await stands(page, "journey-question")
    await page.get_by_role("button", name="Edit and approve").first.click()
    dialog = page.get_by_role("dialog", name="Edit and approve")
    await dialog.get_by_label("content").fill("All is well, which is good.")
    await expect(dialog.get_by_role("region", name="What you change", exact=True)).to_contain_text("is well")
    await picture(page, "journey-edit-light")
    await dialog.get_by_role("button", name="Approve with changes").click()
    await seen(page.get_by_text(re.compile("^Approved")))


async def _look_back(page: Page, run_id: str) -> None:
    await page.goto(f"/p/{PROJECT}/runs/{run_id}/policy")
    table = page.get_by_role("table", name="Decisions")
    await seen(table.get_by_role("row", name=re.compile("Held for approval.*files.write.*read-it-first")))
    await stands(page, "journey-decisions")
    await table.get_by_role("link", name=re.compile("^Held for approval, files.write")).first.click()
    await seen(page.get_by_role("complementary", name="Decision").get_by_text("A memo is read before it is kept."))
    await page.goto(f"/p/{PROJECT}/runs/{run_id}/calls")
    await page.get_by_text("files.write").first.click()
    await seen(page.get_by_text("All is lost, which is bad."))
    await seen(page.get_by_text("All is well, which is good."))
    await stands(page, "journey-call")
    await page.goto(f"/p/{PROJECT}/runs/{run_id}/cost")
    await seen(page.get_by_role("table", name="Costs by step").get_by_text("$0.04"))
    await stands(page, "journey-cost")
