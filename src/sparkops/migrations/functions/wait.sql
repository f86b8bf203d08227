CREATE OR REPLACE FUNCTION engine.wait(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_WAIT. The step lets go of its worker until what it awaits is there. Looked at under the step's lock: what came
-- between the attempt's own look and this one is never lost.
-- p: {step_id, attempt, token, for: one of
--     {kind: approval, approvals: [ids], looked: {id: digest}}  one of them is answered; or something else is asked
--                                                   about than the request that people were told about
--     {kind: timer, until} or {kind: timer, seconds}  seconds count from the step's first attempt
--     {kind: event, event, after, seconds}          an event of this name received after `after` (null: since the run
--                                                   was created); seconds: when the wait is over
--     {kind: run}                                   its sub-workflow has ended
--     {kind: budget, …}                             as `reserve` said: its period turns, its limit is raised, or it
--                                                   has room again
--     {kind: frames}                                the frames that its next attempt has to look at have ended
-- Returns {status, until, due_seconds, rings}. status: `waiting`; `there`: nothing was written and the attempt goes on;
-- `ready`: an approval was answered or changed, or a budget has room, the step is to be attempted again; `cancelled`. `until` is when a timer or the
-- wait for an event is over, `due_seconds` how long that still takes. Raises SF001.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_for jsonb := p -> 'for';
  v_status text := 'waiting';
  v_there boolean;
  v_until timestamptz := coalesce(
    (v_for ->> 'until')::timestamptz,
    v_step.started_at + make_interval(secs => (v_for ->> 'seconds')::float8));
  v_events jsonb := '[]';
BEGIN
  IF v_step.cancel_requested THEN
    v_status := 'cancelled';
    v_events := engine.abandon_calls(v_step);
  ELSE
    v_there := CASE v_for ->> 'kind'
      WHEN 'approval' THEN EXISTS (
        SELECT 1 FROM approvals
         WHERE id IN (SELECT a::uuid FROM jsonb_array_elements_text(v_for -> 'approvals') a)
           AND (status <> 'pending' OR v_for -> 'looked' ->> id::text <> coalesce(edited_hash, request_hash)))
      WHEN 'timer' THEN v_until <= clock_timestamp()
      WHEN 'event' THEN
        engine.event_came(v_step, v_for ->> 'event', (v_for ->> 'after')::timestamptz, v_until)
          OR v_until <= clock_timestamp()
      WHEN 'run' THEN EXISTS (SELECT 1 FROM runs WHERE id = v_step.child_run_id AND finished_at IS NOT NULL)
      WHEN 'budget' THEN NOT engine.budget_blocks(v_for)
      WHEN 'frames' THEN engine.frames_ended(v_step.id) END;
    IF v_there AND v_for ->> 'kind' IN ('approval', 'budget') THEN
      v_status := 'ready';
    ELSIF v_there THEN
      v_status := 'there';
    END IF;
  END IF;
  IF v_status <> 'there' THEN
    v_events := v_events || engine.park(
      v_step, v_status,
      CASE WHEN v_status = 'waiting' THEN v_for || jsonb_strip_nulls(jsonb_build_object('until', v_until)) END);
  END IF;
  RETURN jsonb_build_object(
    'status', v_status, 'until', v_until,
    'due_seconds', greatest(extract(epoch FROM v_until - clock_timestamp())::float8, 0),
    'rings', engine.emit(v_events));
END $$;
