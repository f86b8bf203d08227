CREATE OR REPLACE FUNCTION engine.clear_run(p_run uuid, p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_CLEAR. A run that people have to let begin, and whose lock the caller holds, is judged by the rules and budgets of
-- now, and queues if they, or the people whom they ask, let it: then it goes on like any that had to queue, and counts
-- against the budgets that limit runs; where one of these pauses it (p: waits), it counts when it begins. Otherwise it is denied, and nothing of it was done; or it waits on. p: as
-- judge_run takes it, and the code of the error, where what is denied was not judged by rules.
-- Returns {status: queued | denied | pending, parents: the step that waits for the run, if it has ended, events};
-- without a status: it does not wait for that any more. Raises SF008: a budget has no room any more, or asks by now;
-- nothing was written: look, and clear it again.
-- Lock order: steps, approvals, budgets.
DECLARE
  v_run runs;
  v_step steps;
  v_judged jsonb;
  v_error jsonb;
  v_ended jsonb;
  v_events jsonb;
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;
  IF v_run.status <> 'awaiting_approval' OR v_run.started_at IS NOT NULL THEN
    RETURN '{"parents": [], "events": []}';
  END IF;
  PERFORM 1 FROM steps WHERE run_id = p_run AND finished_at IS NULL ORDER BY id FOR UPDATE;
  v_judged := engine.judge_run(p_run, p);
  v_events := v_judged -> 'events';
  IF v_judged ->> 'status' = 'pending' THEN
    RETURN jsonb_build_object('status', 'pending', 'parents', '[]'::jsonb, 'events', v_events);
  ELSIF v_judged ->> 'status' = 'allowed' THEN
    UPDATE runs SET status = 'queued', uncounted = p ? 'waits' WHERE id = p_run;
    IF v_run.parent_run_id IS NULL AND NOT p ? 'waits' THEN
      v_events := v_events || engine.count_run(p_run, engine.let_pass(p_run));
    END IF;
    RETURN jsonb_build_object(
      'status', 'queued', 'parents', '[]'::jsonb, 'events', v_events || jsonb_build_array(jsonb_build_object(
        'run_id', p_run, 'kind', 'run.queued', 'data', '{"status": "queued"}'::jsonb)));
  END IF;
  v_error := CASE v_judged ->> 'status'
    WHEN 'denied' THEN jsonb_build_object(
      'code', coalesce(p ->> 'code', CASE p ->> 'rule' WHEN 'budget' THEN 'budget-exceeded' ELSE 'denied-by-policy' END),
      'rule', p -> 'rule', 'message',
      coalesce(p ->> 'reason', 'The rules of the project do not allow it.'))
    WHEN 'expired' THEN jsonb_build_object('code', 'approval-expired', 'message',
      'Nobody approved in time that this run begins.')
    ELSE jsonb_build_object('code', 'rejected', 'message',
      'A person rejected that this run begins' || coalesce(': ' || (v_judged ->> 'comment'), '.')) END;
  FOR v_step IN UPDATE steps SET status = 'cancelled', finished_at = clock_timestamp()
                 WHERE run_id = p_run AND finished_at IS NULL RETURNING * LOOP
    v_events := v_events || jsonb_build_array(engine.step_event(
      v_step, 'step.cancelled', jsonb_build_object('finished_at', v_step.finished_at)));
  END LOOP;
  PERFORM engine.write_audit(v_run.project_id, 'system', 'run.refuse', 'run:' || p_run, jsonb_build_object(
    'rule', p -> 'rule', 'reason', v_error -> 'message', 'workflow', p -> 'name', 'approval_id', v_judged -> 'approval_id'));
  v_ended := engine.apply(
    p_run, jsonb_build_array(jsonb_build_object('op', 'finish', 'status', 'denied', 'error', v_error)));
  RETURN jsonb_build_object('status', 'denied', 'parents', v_ended -> 'parents',
                            'events', v_events || (v_ended -> 'events'));
END $$;
