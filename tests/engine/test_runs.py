"""Runs from acceptance to their end, on a real database, by a real worker loop."""

from tests.engine.conftest import World

CHAIN = """
version: 1
name: chain
steps:
  - {id: a, type: tool, tool: noop, with: {n: 1}}
  - {id: b, type: tool, tool: noop, needs: [a], with: {n: "${{ steps.a.output.n + 1 }}"}}
  - {id: c, type: transform, needs: [b], with: {value: "${{ steps.b.output.n * 10 }}"}}
"""


async def test_a_chain_runs_to_its_end_and_its_output_is_that_of_its_leaf(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    await world.work_until(run_id)
    run = await world.row(run_id)
    assert (run["status"], run["output"], run["error"]) == ("succeeded", {"c": 20}, None)
    assert {key: step["status"] for key, step in (await world.steps(run_id)).items()} == dict.fromkeys(
        "abc", "succeeded"
    )


async def test_a_bug_of_the_platform_fails_the_step_after_its_attempts_and_says_where_to_look(world: World) -> None:
    run_id = await world.run(
        await world.workflow(
            "version: 1\nname: bug\nsteps:\n  - {id: a, type: tool, tool: noop, retry: {attempts: 2, backoff: 1ms}}\n"
        )
    )
    world.tools.clear()
    await world.work_until(run_id)
    step = (await world.steps(run_id))["a"]
    assert (step["status"], step["error"]["code"], step["failures"], step["crashes"]) == (
        "failed",
        "internal-error",
        2,
        0,
    )
