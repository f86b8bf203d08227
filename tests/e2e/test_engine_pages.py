"""The pages in a real Chromium: every kind of step seen live, pausing, the kill switch, second chances, doubt."""

import os
import re
import signal
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Platform
from tests.e2e.test_kills import until
from tests.e2e.test_pages import SLOW_MS, picture, visitor

pytestmark = pytest.mark.xdist_group("platform")

PROJECT = "weather"
"""The only one: with two of them people choose after they have signed in."""

TRIP = """
version: 1
name: trip
timeout: 2h
input:
  properties:
    cities: {type: array, items: {type: string}}
steps:
  - id: size
    type: branch
    with: {cases: [{when: "${{ input.cities.size() > 2 }}", then: [visit]}], else: [postcard]}
  - {id: postcard, type: tool, tool: noop, needs: [size]}
  - id: visit
    type: map
    needs: [size]
    with: {over: "${{ input.cities }}", concurrency: 2, on_item_error: continue}
    steps:
      - {id: book, type: tool, tool: noop, with: {delay_ms: 1500, city: "${{ item }}"}}
      - {id: check, type: transform, needs: [book], with: {value: "${{ item == 'Atlantis' ? int('x') : 1 }}"}}
  - {id: paid, type: wait, needs: [visit], with: {event: payment.received, timeout: 1h}}
  - {id: pack, type: workflow, workflow: packing, needs: [visit]}
  - {id: leave, type: tool, tool: noop, needs: [paid, pack]}
"""
PACKING = """
version: 1
name: packing
steps: [{id: bag, type: tool, tool: noop}]
"""
TWO = """
version: 1
name: two
steps:
  - {id: first, type: tool, tool: noop, with: {delay_ms: 4000}}
  - {id: second, type: tool, tool: noop, needs: [first]}
"""
INVOICE = """
version: 1
name: invoice
input: {properties: {divisor: {type: integer, default: 0}}}
steps:
  - {id: fetch, type: tool, tool: noop}
  - {id: file, type: tool, tool: files.write, needs: [fetch], with: {name: a.md, content: "hello"}}
  - {id: divide, type: transform, needs: [file], with: {value: "${{ 10 / input.divisor }}"}}
  - {id: send, type: tool, tool: noop, needs: [divide]}
"""
PAYMENT = """
version: 1
name: payment
steps:
  - id: transfer
    type: tool
    tool: sql.query
    with: {connection: weather, sql: "select 1 as sent from pg_sleep(30)"}
  - {id: receipt, type: tool, tool: noop, needs: [transfer]}
"""


async def start(platform: Platform, *sources: str, **inputs: Any) -> str:
    """Store workflows that are not there yet, and start a run of the last one."""
    known = {one["name"] for one in (await platform.owner.get("/workflows", project=PROJECT, limit="200"))["items"]}
    names = [source.split("name: ", 1)[1].split("\n", 1)[0] for source in sources]
    for name, source in zip(names, sources, strict=True):
        if name not in known:
            await platform.owner.post("/workflows", {"project": PROJECT, "source": source})
    run: Mapping[str, Any] = await platform.owner.post(
        "/runs", {"project": PROJECT, "workflow": names[-1], "input": inputs}
    )
    return str(run["id"])


async def run_status(platform: Platform, run_id: str) -> str:
    return str((await platform.owner.get(f"/runs/{run_id}"))["status"])


async def ended(platform: Platform, run_id: str, status: str) -> None:
    async def there() -> bool:
        return await run_status(platform, run_id) == status

    await until(there)


def row(page: Page, says: str) -> Locator:
    return page.get_by_role("treegrid", name="Steps").get_by_role("row", name=re.compile(says))


async def seen(what: Locator) -> None:
    await expect(what.first).to_be_visible(timeout=SLOW_MS)


async def test_a_run_with_a_branch_items_a_sub_workflow_and_a_wait_is_seen_live(
    browser: Browser, platform: Platform
) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        run_id = await start(platform, PACKING, TRIP, cities=["Rome", "Oslo", "Atlantis", "Lima", "Quito"])
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await seen(row(page, "^size, branch → visit, Succeeded"))
        await seen(row(page, "^postcard, .*Skipped"))
        await seen(row(page, r"^visit, map \d of 5.*Under way"))
        await row(page, "^visit").click()
        items = page.get_by_role("list", name="Items")
        await seen(items.get_by_role("button", name=re.compile("Running.*Item 1|Item 1")))
        await picture(page, "run-map-running-light")
        await seen(row(page, "^visit, map 5 of 5, 1 failed, Succeeded"))

        await page.get_by_role("button", name=re.compile("^Failed 1")).click()
        await items.get_by_role("button", name=re.compile("Item 3")).click()
        item = page.get_by_role("region", name="Item 3")
        await seen(item.get_by_text("Step check failed"))
        await item.get_by_role("button", name=re.compile("book")).click()
        await seen(page.get_by_role("complementary", name="Step book").get_by_text("Succeeded"))
        await picture(page, "run-item-step-light")

        await row(page, "^paid").click()
        await seen(row(page, "^paid, wait for payment.received, Waits for an event"))
        await seen(page.get_by_role("region", name="Waits").get_by_text("payment.received"))
        await seen(row(page, "^pack, workflow packing, Succeeded"))
        await picture(page, "run-wait-light")
        await platform.owner.post(
            "/events", {"project": PROJECT, "id": f"paid-{run_id}", "name": "payment.received", "data": {}}
        )
        await seen(row(page, "^leave, tool noop, Succeeded"))
        await seen(page.get_by_role("link", name="Run again"))

        await row(page, "^postcard").click()
        await seen(page.get_by_text("A branch before it chose other steps."))
        await row(page, "^pack").click()
        await page.get_by_role("link", name=re.compile("^Open run")).click()
        await seen(page.get_by_role("navigation", name="Lineage").get_by_text("Started by step"))
        await picture(page, "run-lineage-light")


async def test_a_run_is_paused_and_goes_on_when_it_is_resumed(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as page:
        run_id = await start(platform, TWO)
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await page.get_by_role("button", name="Pause run").click()
        await seen(page.get_by_role("status", name="Why this run is held").get_by_text("Paused"))
        await seen(row(page, "^first, .*Succeeded"))
        await seen(row(page, "^second, .*Held"))
        await picture(page, "run-paused-dark")
        await page.get_by_role("button", name="Resume run").click()
        await seen(row(page, "^second, .*Succeeded"))


async def test_the_kill_switch_is_thrown_with_a_reason_shown_everywhere_and_released(
    browser: Browser, platform: Platform
) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/control")
        await page.get_by_role("button", name="Stop project").click()
        dialog = page.get_by_role("dialog", name=f"Stop the project {PROJECT}?")
        await dialog.get_by_role("button", name="Stop now").click()
        await seen(dialog.get_by_text("Say why"))
        await picture(page, "kill-switch-light")
        await dialog.get_by_label("Reason").fill("It spends too much.")
        await dialog.get_by_label("to confirm").fill(PROJECT)
        await dialog.get_by_role("button", name="Stop now").click()
        banner = page.get_by_role("region", name=f"The project {PROJECT} is stopped")
        await seen(banner.get_by_text("It spends too much."))
        await picture(page, "stopped-light")

        run_id = await start(platform, TWO)
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await seen(banner)
        await seen(row(page, "^first, .*Queued"))
        await picture(page, "run-stopped-light")
        await banner.get_by_role("button", name="Release").click()
        await page.get_by_role("dialog", name="Release the stop?").get_by_role("button", name="Release now").click()
        await seen(row(page, "^second, .*Succeeded"))
        await expect(banner).to_have_count(0)


async def test_a_failed_run_is_retried_by_its_plan_and_forked_with_another_input(
    browser: Browser, platform: Platform
) -> None:
    run_id = await start(platform, INVOICE)
    await ended(platform, run_id, "failed")
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await page.get_by_role("link", name="Retry run").click()
        plan = page.get_by_role("table", name="Plan")
        await seen(plan.get_by_role("row", name=re.compile("^Kept file")))
        await seen(plan.get_by_role("row", name=re.compile("^Runs again divide")))
        await picture(page, "retry-plan-light")
        await page.get_by_role("button", name="Retry run").click()
        await seen(page.get_by_role("navigation", name="Lineage").get_by_text("Retry of run"))
        await seen(page.get_by_role("link", name="Retry run"))

        await page.goto(f"/p/{PROJECT}/runs/{run_id}/again/fork?from=file")
        await seen(page.get_by_role("region", name="Side effects that repeat").get_by_text("files.write"))
        fork = page.get_by_role("button", name="Fork run")
        await expect(fork).to_be_disabled()
        await page.get_by_label("It may happen again").check()
        await page.get_by_label("divisor").fill("5")
        await seen(plan.get_by_role("row", name=re.compile("^Kept fetch")))
        await picture(page, "fork-plan-light")
        await fork.click()
        await seen(page.get_by_role("navigation", name="Lineage").get_by_text("Fork of run"))
        await seen(row(page, "^send, .*Succeeded"))


async def test_what_became_of_a_call_in_doubt_is_said_with_evidence(browser: Browser, platform: Platform) -> None:
    run_id = await start(platform, PAYMENT)
    database = await asyncpg.connect(platform.stack.endpoints.database_url)
    try:
        # No built-in tool is unsafe: the call in flight is made one.
        await until(
            lambda: database.fetchval(
                "UPDATE calls SET effect_class = 'unsafe' WHERE run_id = $1 AND status = 'prepared' RETURNING 1", run_id
            )
        )
        pid = await database.fetchval(
            "SELECT w.pid FROM steps s JOIN worker_sessions w ON w.id = s.worker_session WHERE s.run_id = $1", run_id
        )
    finally:
        await database.close()
    os.kill(pid, signal.SIGKILL)
    await ended(platform, run_id, "attention")
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await seen(page.get_by_text("nobody knows whether an effect happened"))
        await page.get_by_role("link", name="Say what happened").first.click()
        await seen(page.get_by_role("region", name="Request").get_by_text("pg_sleep"))
        await page.get_by_role("button", name="Record this answer").click()
        await seen(page.get_by_text("Choose what became of it."))
        await page.get_by_label("It did happen").check()
        await page.get_by_label("What it gave back").fill('{"sent": 1}')
        await page.get_by_label("Evidence").fill("The bank statement shows it.")
        await picture(page, "doubt-light")
        await page.get_by_role("button", name="Record this answer").click()
        await seen(page.get_by_text("Nothing is in doubt"))
        await page.goto(f"/p/{PROJECT}/runs/{run_id}")
        await seen(row(page, "^receipt, .*Succeeded"))
