CREATE OR REPLACE FUNCTION engine.give_back(
  p_session uuid, p_crashed boolean, p_limit int, p_run uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_REAP (p_session NULL): steps whose lease ran out or whose time is up. T_RELEASE (p_session given): the steps of
-- one worker session and of the processes that it had started, at once; p_crashed says whether its process died or gave
-- them back in peace. What those processes held is given back without blame: they ended because their parent did.
-- A process that dies is held against every step that it held. Once is bad luck: the step simply runs again. The second
-- death isolates it: it runs with a few that are suspected as well, in a process of their own; and after the third alone,
-- so that only the guilty one dies again. It is given up (`poison`) when its deaths reach max_crashes and the last was one
-- alone: it costs max_crashes processes, and no bystander ever fails.
-- With p_run only the steps of that run. Never waits for a step and never locks a run, but may wait for budgets and for
-- the run's counter: see give_back_each.
-- Returns {runs: [those that must be advanced in a transaction of their own], queues: [those that have work again],
-- count, rings}.
DECLARE
  v_step steps;
  v_after steps;
  v_status text;
  v_outcome text;
  v_error jsonb;
  v_late boolean;
  v_crashed boolean;
  v_over boolean;
  v_pause interval;
  v_events jsonb := '[]';
  v_runs jsonb := '[]';
  v_queues jsonb := '[]';
  v_count int := 0;
BEGIN
  FOR v_step IN
    SELECT * FROM steps s
     WHERE s.status = 'running' AND (p_run IS NULL OR s.run_id = p_run)
       AND CASE WHEN p_session IS NULL
                THEN s.lease_expires_at < clock_timestamp() OR s.step_deadline_at < clock_timestamp()
                ELSE s.worker_session IN (
                  SELECT p_session UNION ALL
                  SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END
     ORDER BY s.run_id, s.id LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    v_count := v_count + 1;
    v_late := coalesce(v_step.step_deadline_at < clock_timestamp(), false);
    v_crashed := p_crashed AND NOT v_late AND (p_session IS NULL OR v_step.worker_session = p_session);
    v_outcome := CASE WHEN v_late THEN 'timed_out' WHEN p_session IS NULL THEN 'lost' ELSE 'released' END;
    v_over := coalesce(v_step.fails_at < clock_timestamp(), false);
    v_error := NULL;
    v_pause := interval '0';
    IF EXISTS (SELECT 1 FROM calls c WHERE c.run_id = v_step.run_id AND c.step_id = v_step.id
                  AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe') THEN
      v_status := 'uncertain';
      v_outcome := 'uncertain';
    ELSIF v_step.cancel_requested THEN
      v_status := 'cancelled';
      v_outcome := 'cancelled';
    ELSIF v_late THEN
      v_pause := engine.pause_after_timeout(v_step);
      v_status := CASE WHEN v_pause IS NULL THEN 'failed' ELSE 'ready' END;
      v_error := CASE WHEN v_over THEN engine.deadline_error(v_step) ELSE jsonb_build_object(
        'code', 'timeout', 'message', format('the attempt took longer than %s', v_step.timeout)) END;
    ELSIF v_crashed AND engine.alone(v_step) AND v_step.crashes + 1 >= v_step.max_crashes THEN
      v_status := 'failed';
      v_error := '{"code": "poison", "message": "the worker process died each time it ran this step alone"}';
    ELSE
      v_status := 'ready';
    END IF;

    UPDATE step_attempts SET ended_at = clock_timestamp(), outcome = v_outcome, error = v_error
     WHERE run_id = v_step.run_id AND step_id = v_step.id AND attempt = v_step.attempt;
    UPDATE steps
       SET status = v_status, error = coalesce(v_error, error),
           failures = failures + v_late::int,
           crashes = crashes + v_crashed::int,
           isolate = isolate OR v_crashed AND crashes >= 1,
           claim_token = NULL, lease_expires_at = NULL, step_deadline_at = NULL,
           not_before = coalesce(clock_timestamp() + v_pause, not_before),
           ready_at = CASE WHEN v_status = 'ready' THEN clock_timestamp() ELSE ready_at END,
           finished_at = CASE WHEN v_status IN ('failed', 'cancelled') THEN clock_timestamp() END
     WHERE id = v_step.id RETURNING * INTO v_after;

    IF v_status <> 'ready' THEN
      PERFORM engine.lock_budgets(ARRAY(SELECT id FROM calls WHERE run_id = p_run AND status = 'prepared'));
      v_events := v_events || engine.abandon_calls(v_after);
    END IF;
    v_events := v_events || jsonb_build_array(engine.step_event(
      v_after, CASE v_status WHEN 'ready' THEN 'step.released' ELSE 'step.' || v_status END,
      jsonb_strip_nulls(jsonb_build_object('reason', v_outcome, 'error', v_error, 'finished_at', v_after.finished_at))));
    IF v_status = 'ready' THEN
      v_queues := v_queues || to_jsonb(v_after.queue);
    ELSE
      v_runs := v_runs || to_jsonb(v_after.run_id);
    END IF;
  END LOOP;
  INSERT INTO unadvanced (run_id) SELECT DISTINCT r::uuid FROM jsonb_array_elements_text(v_runs) r;
  RETURN jsonb_build_object('runs', v_runs, 'queues', v_queues, 'count', v_count, 'rings', engine.emit(v_events));
END $$;
