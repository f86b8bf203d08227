"""The inbox in a real Chromium: approve by keys, see what is different, change it, ask back, refuse, follow a link."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Platform
from tests.e2e.test_pages import SLOW_MS, picture, stands, visitor

pytestmark = pytest.mark.xdist_group("platform")

PROJECT = "weather"
WORKFLOW = """
version: 1
name: letter
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: look, type: transform, with: {value: "${{ input.text }}"}}
  - id: write
    type: tool
    needs: [look]
    tool: files.write
    with: {name: letter.md, content: "${{ steps.look.output }}"}
"""
RULE = {
    "name": "read-first",
    "on": ["tool.call"],
    "workflows": ["letter"],
    "tools": ["files.write"],
    "effect": "require_approval",
    "reason": "A letter is read before it is written.",
    "severity": "high",
    "approval": {
        "approvers": ["operator"],
        "may_edit": True,
        "expires": "2h",
        "escalate_after": "1h",
        "escalate_to": ["owner"],
    },
}


async def prepare(platform: Platform) -> None:
    """A workflow whose letters are read first, beside what the example has."""
    rules = (await platform.owner.get(f"/projects/{PROJECT}/policy"))["rules"]
    await platform.owner.put(f"/projects/{PROJECT}/policy", {"rules": [*rules, RULE]})
    await platform.owner.post("/workflows", {"project": PROJECT, "source": WORKFLOW})


async def letter(platform: Platform, text: str) -> str:
    run = await platform.owner.post("/runs", {"project": PROJECT, "workflow": "letter", "input": {"text": text}})
    return str(run["id"])


async def question_of(platform: Platform, run: str) -> Mapping[str, Any]:
    """The open question of a run, once it is asked."""
    async with asyncio.timeout(SLOW_MS / 1000):
        while True:
            listed = (await platform.owner.get("/approvals", project=PROJECT, state="open"))["items"]
            for one in listed:
                if one["run_id"] == run:
                    return dict(one)
            await asyncio.sleep(0.1)


async def open_question(page: Page, platform: Platform, run: str) -> Mapping[str, Any]:
    question = await question_of(platform, run)
    await page.goto(f"/p/{PROJECT}/approvals?state=mine&item={question['id']}")
    await expect(page.get_by_role("article", name=question["title"])).to_be_visible(timeout=SLOW_MS)
    return question


async def test_letters_are_approved_changed_and_refused_from_the_inbox(browser: Browser, platform: Platform) -> None:
    await prepare(platform)
    async with visitor(browser, platform, platform.approver_login) as page:
        await _approve_by_keys(page, platform)
        await _change(page, platform)
        await _ask_back_and_refuse(page, platform)
        await _follow_a_link(browser, page, platform)
        await _hand_on(page, platform)


HELD = """
version: 1
name: payout
input: {type: object, properties: {to: {type: string}, amount: {type: number}}}
steps:
  - {id: prepare, type: transform, with: {value: {to: "${{ input.to }}", amount: "${{ input.amount }}"}}}
output: {paid: "${{ steps.prepare.output.amount }}"}
"""
HOLDS = [
    {
        "name": f"second-pair-of-eyes-{subject.replace('.', '-')}",
        "on": [subject],
        "workflows": ["payout"],
        "effect": "require_approval",
        "reason": "Two people stand behind a payout.",
    }
    for subject in ("run.create", "output")
]


async def test_a_second_person_lets_a_run_begin_and_its_output_out(browser: Browser, platform: Platform) -> None:
    rules = (await platform.owner.get(f"/projects/{PROJECT}/policy"))["rules"]
    await platform.owner.put(f"/projects/{PROJECT}/policy", {"rules": [*rules, *HOLDS]})
    await platform.owner.post("/workflows", {"project": PROJECT, "source": HELD})
    wanted = {"to": "Ann", "amount": 120}
    run = (await platform.owner.post("/runs", {"project": PROJECT, "workflow": "payout", "input": wanted}))["id"]
    async with visitor(browser, platform, platform.approver_login) as page:
        await page.goto(f"/p/{PROJECT}/runs/{run}")
        await expect(page.get_by_text("nothing of it is done before people have let it begin")).to_be_visible()
        await stands(page, "run-waits-to-begin")
        await open_question(page, platform, run)
        await expect(page.get_by_text("Nothing of the run has been done yet.")).to_be_visible()
        await expect(page.get_by_role("region", name="Proposed request")).to_contain_text("Ann")
        await stands(page, "inbox-run")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(re.compile("^Approved")).first).to_be_visible(timeout=SLOW_MS)
        await open_question(page, platform, run)
        await expect(page.get_by_text("its output is kept back")).to_be_visible()
        await stands(page, "inbox-output")
        assert (await platform.owner.get(f"/runs/{run}"))["output"] is None
        await page.goto(f"/p/{PROJECT}/runs/{run}")
        await expect(page.get_by_text("Its output is kept back until people let it out.")).to_be_visible()
        await page.get_by_role("button", name="Approve", exact=True).click()
        await expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=SLOW_MS)
    assert (await platform.owner.get(f"/runs/{run}"))["output"] == {"paid": 120}


CLEANING = """
version: 1
name: cleaning
steps:
  - id: remove
    type: tool
    tool: sql.execute
    with: {connection: leads, sql: "DELETE FROM leads WHERE stale AND id <= $1", parameters: [350], max_rows: 50}
output: "${{ steps.remove.output }}"
"""


async def test_a_write_to_a_database_is_shown_with_its_rows_and_plan_before_it_is_agreed_to(
    browser: Browser, platform: Platform
) -> None:
    await platform.owner.post("/workflows", {"project": PROJECT, "source": CLEANING})
    run = (await platform.owner.post("/runs", {"project": PROJECT, "workflow": "cleaning", "input": {}}))["id"]
    async with visitor(browser, platform, platform.approver_login) as page:
        await open_question(page, platform, run)
        section = page.get_by_role("region", name="What it would do")
        await expect(section).to_contain_text("50 rows, counted.", timeout=SLOW_MS)
        await expect(section).to_contain_text("refer to it may change as well: notes")
        await expect(section.get_by_role("region", name="Plan of the database")).to_contain_text(
            "Delete on public.leads"
        )
        await picture(page, "inbox-write-light")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(re.compile("^Approved")).first).to_be_visible(timeout=SLOW_MS)
        await page.goto(f"/p/{PROJECT}/runs/{run}")
        await expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=SLOW_MS)
    assert (await platform.owner.get(f"/runs/{run}"))["output"]["affected"] == 50


async def _approve_by_keys(page: Page, platform: Platform) -> None:
    run = await letter(platform, "Dear Ann,\nall is well.\nBen")
    await open_question(page, platform, run)
    await expect(page.get_by_text("read-first").first).to_be_visible()
    await expect(page.get_by_role("region", name="What goes out")).to_contain_text("files.write")
    await picture(page, "inbox-light")
    await page.keyboard.press("a")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(re.compile("^Approved")).first).to_be_visible(timeout=SLOW_MS)
    await _ends(page, run, "Succeeded")


async def _change(page: Page, platform: Platform) -> None:
    run = await letter(platform, "Dear Ann,\nall is lost.\nBen")
    await open_question(page, platform, run)
    before = page.get_by_role("region", name="Difference from the last one approved", exact=True)
    await expect(before).to_contain_text("all is well", timeout=SLOW_MS)
    await picture(page, "inbox-difference-light")
    await page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Edit and approve")
    await dialog.get_by_label("content").fill("Dear Ann,\nnothing is lost.\nBen")
    await expect(dialog.get_by_role("region", name="What you change", exact=True)).to_contain_text("nothing is lost")
    await dialog.get_by_label("Comment").fill("Kinder.")
    await picture(page, "inbox-edit-light")
    await dialog.get_by_role("button", name="Approve with changes").click()
    changed = page.get_by_role("region", name=re.compile("^Changed by Approver$"))
    await expect(changed).to_contain_text("nothing is lost", timeout=SLOW_MS)
    await picture(page, "inbox-changed-light")
    await _ends(page, run, "Succeeded")
    files = (await platform.owner.get(f"/runs/{run}/artifacts"))["items"]
    written = await platform.owner.content(f"/artifacts/{files[0]['id']}/content")
    assert written == b"Dear Ann,\nnothing is lost.\nBen"


async def _ask_back_and_refuse(page: Page, platform: Platform) -> None:
    run = await letter(platform, "Dear Eve")
    question = await open_question(page, platform, run)
    await page.keyboard.press("r")
    await page.keyboard.type("Who is Eve?")
    await page.get_by_role("button", name="Send message").click()
    said = page.get_by_role("list", name="Messages")
    await expect(said).to_contain_text("Who is Eve?", timeout=SLOW_MS)
    await platform.owner.post(f"/approvals/{question['id']}/messages", {"text": "Nobody knows."})
    await expect(said).to_contain_text("Nobody knows.", timeout=SLOW_MS)
    await picture(page, "inbox-asked-back-light")
    await page.get_by_role("heading", name=re.compile("asks to use")).click()
    await page.keyboard.press("x")
    dialog = page.get_by_role("dialog", name="Reject")
    await dialog.get_by_label("Reason").fill("We do not write to strangers.")
    await dialog.get_by_role("button", name="Reject request").click()
    await expect(page.get_by_text("Rejected").first).to_be_visible(timeout=SLOW_MS)
    await _ends(page, run, "Failed")
    await expect(page.get_by_text("We do not write to strangers.").first).to_be_visible(timeout=SLOW_MS)


async def _follow_a_link(browser: Browser, page: Page, platform: Platform) -> None:
    run = await letter(platform, "Dear Dan")
    question = await open_question(page, platform, run)
    await page.goto(question["link"])
    await expect(page).to_have_url(re.compile(f"/p/{PROJECT}/approvals.*{question['id']}"), timeout=SLOW_MS)
    await page.goto(question["link"][:-3] + "xxx")
    await expect(page.get_by_text("There is no such approval here.")).to_be_visible(timeout=SLOW_MS)
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as own:
        await own.goto(f"/p/{PROJECT}/approvals?state=open&item={question['id']}")
        told = own.get_by_text("You started this run, so somebody else has to answer.")
        await expect(told).to_be_visible(timeout=SLOW_MS)
        await picture(own, "inbox-own-dark")
    await platform.approver.post(f"/approvals/{question['id']}/reject", {"reason": "It was a test."})


async def _hand_on(page: Page, platform: Platform) -> None:
    await platform.owner.post("/users", {"email": "kim@example.com"})
    await platform.owner.post(f"/projects/{PROJECT}/members", {"email": "kim@example.com", "role": "operator"})
    run = await letter(platform, "Dear Fay")
    question = await open_question(page, platform, run)
    await page.keyboard.press("h")
    dialog = page.get_by_role("dialog", name="Reassign")
    choice = dialog.get_by_label("Who answers in your place")
    await choice.select_option(value="kim@example.com")
    await dialog.get_by_label("Comment").fill("Your field.")
    await picture(page, "inbox-reassign-light")
    await dialog.get_by_role("button", name="Reassign").click()
    await page.goto(f"/p/{PROJECT}/approvals?state=open&item={question['id']}")
    await expect(page.get_by_text("You let somebody else answer in your place.")).to_be_visible(timeout=SLOW_MS)
    await expect(page.get_by_role("list", name="Reassigned")).to_contain_text("Approver to kim@example.com")
    await picture(page, "inbox-reassigned-light")
    await platform.owner.post(f"/runs/{run}/cancel")


async def _ends(page: Page, run: str, word: str) -> None:
    await page.goto(f"/p/{PROJECT}/runs/{run}")
    await expect(page.get_by_text(word, exact=True).first).to_be_visible(timeout=SLOW_MS)
