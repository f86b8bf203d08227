CREATE OR REPLACE FUNCTION engine.complete(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_COMPLETE with ADVANCE and sticky T_CLAIM inside, for steps whose success the database can apply alone.
-- p: {items: [as close_steps, with run_id], session, lease_seconds, claim: how many steps the worker can take next}.
-- Returns {closed, claims, ready: how many were made ready and not taken, parents: the steps to be woken because a run
-- has ended, rings}.
-- Lock order: runs by id, steps, calls, reservations, budgets, counters.
DECLARE
  v_runs uuid[];
  v_closed jsonb;
  v_handed jsonb;
  v_ready uuid[];
  v_taken jsonb := '{"claims": [], "events": []}';
BEGIN
  SELECT array_agg(DISTINCT (i ->> 'run_id')::uuid) INTO v_runs FROM jsonb_array_elements(p -> 'items') i;
  PERFORM 1 FROM runs WHERE id = ANY (v_runs) ORDER BY id FOR UPDATE;
  v_closed := engine.close_steps(p -> 'items');
  v_handed := engine.hand_over(
    ARRAY(SELECT (c ->> 'step_id')::uuid FROM jsonb_array_elements(v_closed -> 'closed') c
           WHERE c ->> 'status' = 'succeeded'),
    ARRAY(SELECT DISTINCT (c ->> 'run_id')::uuid FROM jsonb_array_elements(v_closed -> 'closed') c));
  v_ready := ARRAY(SELECT r::uuid FROM jsonb_array_elements_text(v_handed -> 'ready') r);
  IF (p ->> 'claim')::int > 0 AND v_ready <> '{}' THEN
    v_taken := engine.take(v_ready, (p ->> 'claim')::int, (p ->> 'session')::uuid,
                           make_interval(secs => (p ->> 'lease_seconds')::float8));
  END IF;
  RETURN jsonb_build_object(
    'closed', v_closed -> 'closed', 'claims', v_taken -> 'claims',
    'ready', cardinality(v_ready) - jsonb_array_length(v_taken -> 'claims'), 'parents', v_handed -> 'parents',
    'rings', engine.emit((v_closed -> 'events') || (v_handed -> 'events') || (v_taken -> 'events')));
END $$;
