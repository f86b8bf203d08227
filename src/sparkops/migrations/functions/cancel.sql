CREATE OR REPLACE FUNCTION engine.cancel(p_run uuid, p_user uuid, p_error jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_CANCEL. What has not started is cancelled at once; what runs is asked to stop, and from this commit on prepares
-- nothing more. The run ends when its last running step does. Repeating it lets go of steps that have become uncertain
-- meanwhile and changes nothing else; nor does cancelling a run that has ended, or that takes its effects back: what is due
-- to be undone is undone, and the run ends as it was going to. Steps of bodies that were never started are left to `abandon_frames`. p_user NULL: the platform,
-- because of p_error. Returns {status, parents: the step to be woken if the run has ended, freed: where a
-- place may have become free, rings}.
DECLARE
  v_run runs;
  v_step steps;
  v_cancelled uuid[] := '{}';
  v_events jsonb := '[]';
  v_ended jsonb;
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;
  IF v_run.finished_at IS NOT NULL OR v_run.status = 'compensating'
     OR v_run.status = 'cancelling' AND NOT EXISTS (
          SELECT 1 FROM steps WHERE run_id = p_run AND status = 'uncertain') THEN
    RETURN jsonb_build_object('status', v_run.status, 'parents', '[]'::jsonb, 'freed', '[]'::jsonb,
                              'rings', '[]'::jsonb);
  END IF;
  -- What is being prepared is waited for, so that it was before the request and everything later is refused.
  PERFORM 1 FROM steps WHERE run_id = p_run
     AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')
     AND (parent_id IS NULL OR status <> 'pending') ORDER BY id FOR UPDATE;
  UPDATE runs SET status = 'cancelling', cancel_requested_at = clock_timestamp(), cancelled_by = p_user,
                  error = p_error
   WHERE id = p_run AND status <> 'cancelling';
  IF FOUND THEN
    v_events := jsonb_build_array(jsonb_build_object(
      'run_id', p_run, 'kind', 'run.cancelling', 'data', jsonb_build_object('status', 'cancelling')));
  END IF;

  PERFORM engine.lock_budgets(ARRAY(SELECT id FROM calls WHERE run_id = p_run AND status = 'prepared'));
  FOR v_step IN SELECT * FROM steps WHERE run_id = p_run
                   AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')
                   AND (parent_id IS NULL OR status <> 'pending') ORDER BY id FOR UPDATE LOOP
    IF v_step.status = 'running' THEN
      UPDATE steps SET cancel_requested = true, held = false WHERE id = v_step.id;
    ELSE
      UPDATE steps SET status = 'cancelled', finished_at = clock_timestamp(), waiting_for = NULL, wake_at = NULL
       WHERE id = v_step.id RETURNING * INTO v_step;
      v_events := v_events || engine.abandon_calls(v_step) || jsonb_build_array(engine.step_event(
        v_step, 'step.cancelled', jsonb_build_object('finished_at', v_step.finished_at)));
      v_cancelled := v_cancelled || v_step.id;
    END IF;
  END LOOP;
  UPDATE frames SET status = 'cancelled', finished_at = clock_timestamp()
   WHERE parent_id = ANY (v_cancelled) AND status IN ('waiting', 'open');
  UPDATE approvals SET status = 'withdrawn' WHERE run_id = p_run AND status IN ('pending', 'approved');
  PERFORM engine.write_audit(v_run.project_id, coalesce('user:' || p_user, 'system'), 'run.cancel', 'run:' || p_run,
                             coalesce(p_error, '{}'), jsonb_build_object('status', v_run.status),
                             '{"status": "cancelling"}');

  v_ended := engine.end_runs(ARRAY[p_run]);
  RETURN jsonb_build_object('status', (SELECT status FROM runs WHERE id = p_run),
                            'parents', v_ended -> 'parents', 'freed', engine.freed(ARRAY[p_run]),
                            'rings', engine.emit(v_events || (v_ended -> 'events')));
END $$;
