CREATE OR REPLACE FUNCTION engine.complete(
  p_steps uuid[], p_attempts bigint[], p_tokens uuid[], p_runs uuid[], p_outputs jsonb[], p_more jsonb[],
  p_session uuid, p_lease interval, p_claim int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_COMPLETE with ADVANCE and sticky T_CLAIM inside, for steps whose success the database can apply alone. The arrays
-- have one place for each end; p_outputs: {output}; p_more: {policy_version, calls: [as note_calls]} or {results: [as
-- record_calls]}; besides {labels}: those of the output, where they are others than the row has, and {ahead,
-- ahead_seconds}: the steps that the worker ran ahead after it, as close_ahead takes them.
-- p_claim: how many steps the worker can take next. Closing is a compare and set on the token.
-- Returns {closed: [step ids], stale: [step ids], claims, ready: how many were made ready and not taken, parents: the
-- steps to be woken because a run has ended, left: runs to be advanced in a transaction of their own, because a step
-- that was asked to stop has ended, more frames may start than fit here, or its output is to be judged, rings}. What is in neither of the first two was fenced. A stale end brought calls that were judged under rules which have changed.
-- Lock order: runs by id, steps, calls, reservations, budgets, counters.
DECLARE
  v_stale uuid[];
  v_closed uuid[];
  v_next uuid[];
  v_ending uuid[];
  v_calls jsonb;
  v_events jsonb;
  v_step steps;
  v_end record;
  v_recorded jsonb := '[]';
  v_ahead jsonb := '{"next": [], "last": [], "events": []}';
  v_asked_to_stop jsonb;
  v_stopped jsonb;
  v_left uuid[] := '{}';
  v_ended jsonb := '{"parents": [], "left": [], "events": []}';
  v_handed jsonb := '{"ready": [], "runs": [], "events": []}';
  v_last uuid[];
  v_framed jsonb := '{"ready": [], "runs": [], "left": [], "events": []}';
  v_ready uuid[] := '{}';
  v_taken jsonb := '{"claims": [], "events": []}';
BEGIN
  PERFORM 1 FROM runs WHERE id = ANY (p_runs) ORDER BY id FOR UPDATE;
  v_stale := engine.stale(p_steps, p_more);

  WITH closed AS (
    UPDATE steps s
       SET status = 'succeeded', output = nullif(i.output -> 'output', 'null'), error = NULL, claim_token = NULL,
           lease_expires_at = NULL, step_deadline_at = NULL,
           labels = CASE WHEN i.more ? 'labels' THEN ARRAY(SELECT jsonb_array_elements_text(i.more -> 'labels'))
                         ELSE s.labels END,
           finished_at = clock_timestamp() - make_interval(secs => coalesce((i.more ->> 'ahead_seconds')::float8, 0))
      FROM unnest(p_steps, p_attempts, p_tokens, p_outputs, p_more) AS i (step_id, attempt, token, output, more)
     WHERE s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token AND s.status = 'running'
       AND NOT s.cancel_requested AND s.id <> ALL (v_stale)
    RETURNING s.*, i.more),
  ended AS (
    UPDATE step_attempts a SET ended_at = c.finished_at, outcome = 'succeeded'
      FROM closed c WHERE a.run_id = c.run_id AND a.step_id = c.id AND a.attempt = c.attempt)
  SELECT array_agg(c.id), ARRAY(SELECT DISTINCT d FROM closed n, unnest(n.dependents) d),
         array_agg(c.id) FILTER (WHERE c.parent_id IS NOT NULL AND c.dependents = '{}'),
         array_agg(DISTINCT c.run_id),
         (SELECT jsonb_agg(k || jsonb_build_object(
            'run_id', n.run_id, 'project_id', n.project_id, 'step_id', n.id, 'key', n.node_key, 'attempt', n.attempt,
            'policy_version', n.more -> 'policy_version'))
            FROM closed n, jsonb_array_elements(n.more -> 'calls') k),
         jsonb_agg(jsonb_build_object('run_id', c.run_id, 'kind', 'step.succeeded', 'step_id', c.id, 'data',
           jsonb_build_object('key', c.node_key, 'status', c.status, 'attempt', c.attempt,
                              'finished_at', c.finished_at)
            || CASE WHEN c.parent_id IS NULL THEN '{}' ELSE jsonb_build_object('path', c.path) END))
    INTO v_closed, v_next, v_last, v_ending, v_calls, v_events FROM closed c;
  v_closed := coalesce(v_closed, '{}');
  IF v_closed <> '{}' AND EXISTS (SELECT 1 FROM unnest(p_more) AS m (more) WHERE more ? 'ahead') THEN
    v_ahead := engine.close_ahead(v_closed, p_steps, p_more, p_session);
    v_next := v_next || ARRAY(SELECT n::uuid FROM jsonb_array_elements_text(v_ahead -> 'next') n);
    v_last := v_last || ARRAY(SELECT n::uuid FROM jsonb_array_elements_text(v_ahead -> 'last') n);
  END IF;

  IF v_calls IS NOT NULL THEN
    v_recorded := engine.note_calls(v_calls);
  END IF;
  IF EXISTS (SELECT 1 FROM unnest(p_more) AS m (more) WHERE more ? 'results') THEN
    -- Those that are not closed may be somebody else's by now, who has locked the step and is about to lock budgets.
    PERFORM 1 FROM steps WHERE id = ANY (p_steps) AND id <> ALL (v_closed) ORDER BY id FOR UPDATE;
    PERFORM engine.lock_budgets(ARRAY(
      SELECT k.id FROM steps s JOIN calls k ON k.run_id = s.run_id AND k.step_id = s.id AND k.status = 'prepared'
       WHERE s.id = ANY (p_steps)));
  END IF;
  FOR v_end IN
    SELECT i.step_id, i.more -> 'results' AS results FROM unnest(p_steps, p_runs, p_more) AS i (step_id, run_id, more)
     WHERE i.more ? 'results' AND i.step_id = ANY (v_closed) ORDER BY i.run_id, i.step_id LOOP
    SELECT * INTO v_step FROM steps WHERE id = v_end.step_id;
    v_recorded := v_recorded || engine.record_calls(v_step, v_end.results);
  END LOOP;

  IF cardinality(v_closed) + cardinality(v_stale) < cardinality(p_steps) THEN
    SELECT jsonb_agg(jsonb_build_object('step_id', i.step_id, 'attempt', i.attempt, 'token', i.token,
                                        'status', 'succeeded', 'outcome', 'succeeded') || i.output || i.more)
      INTO v_asked_to_stop
      FROM unnest(p_steps, p_attempts, p_tokens, p_outputs, p_more) AS i (step_id, attempt, token, output, more)
     WHERE i.step_id <> ALL (v_closed || v_stale);
    v_stopped := engine.close_steps(v_asked_to_stop);
    v_closed := v_closed || ARRAY(SELECT (c ->> 'step_id')::uuid FROM jsonb_array_elements(v_stopped -> 'closed') c);
    v_left := ARRAY(SELECT DISTINCT (c ->> 'run_id')::uuid FROM jsonb_array_elements(v_stopped -> 'closed') c);
    v_recorded := v_recorded || (v_stopped -> 'events');
    INSERT INTO unadvanced (run_id) SELECT unnest(v_left);
  END IF;

  v_events := v_recorded || coalesce(v_events, '[]') || (v_ahead -> 'events');
  IF v_next <> '{}' THEN
    v_handed := engine.hand_over(v_next);
    v_ready := ARRAY(SELECT r::uuid FROM jsonb_array_elements_text(v_handed -> 'ready') r);
  END IF;
  IF v_last <> '{}' THEN
    v_framed := engine.end_frames(v_last, 100);
    v_ready := v_ready || ARRAY(SELECT r::uuid FROM jsonb_array_elements_text(v_framed -> 'ready') r);
    INSERT INTO unadvanced (run_id)
    SELECT DISTINCT r::uuid FROM jsonb_array_elements_text(v_framed -> 'left') r WHERE r::uuid <> ALL (v_left);
    v_left := ARRAY(SELECT unnest(v_left) UNION SELECT r::uuid FROM jsonb_array_elements_text(v_framed -> 'left') r);
  END IF;
  -- A run of which something became ready goes on; the others may have ended.
  v_ending := ARRAY(SELECT unnest(v_ending) EXCEPT
                    SELECT r::uuid FROM jsonb_array_elements_text((v_handed -> 'runs') || (v_framed -> 'runs')) r);
  IF v_ending <> '{}' THEN
    v_ended := engine.end_runs(v_ending);
    v_events := v_events || (v_ended -> 'events');
    IF v_ended -> 'left' <> '[]' THEN
      INSERT INTO unadvanced (run_id) SELECT l::uuid FROM jsonb_array_elements_text(v_ended -> 'left') l;
      v_left := ARRAY(SELECT unnest(v_left) UNION SELECT l::uuid FROM jsonb_array_elements_text(v_ended -> 'left') l);
    END IF;
  END IF;
  IF p_claim > 0 AND v_ready <> '{}' THEN
    v_taken := engine.take(v_ready, p_claim, p_session, p_lease);
  END IF;
  RETURN jsonb_build_object(
    'closed', to_jsonb(v_closed), 'stale', to_jsonb(v_stale), 'claims', v_taken -> 'claims',
    'ready', cardinality(v_ready) - jsonb_array_length(v_taken -> 'claims'), 'parents', v_ended -> 'parents',
    'left', to_jsonb(v_left),
    'freed', CASE WHEN v_ended -> 'events' = '[]' THEN '[]' ELSE engine.freed(p_runs) END,
    'rings', engine.emit(v_events || (v_handed -> 'events') || (v_framed -> 'events') || (v_taken -> 'events')));
END $$;
