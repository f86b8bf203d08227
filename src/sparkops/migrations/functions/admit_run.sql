CREATE OR REPLACE FUNCTION engine.admit_run(p_run uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_ADMIT. A queued run goes on if there is room for it now. The caller advances the run afterwards if it says so:
-- a run whose steps were all decided when it was accepted is at its end.
-- Returns {admitted, blocked_by, ended, rings}; not admitted and blocked by nothing: it was not queued any more.
-- Lock order: admission, run, steps.
DECLARE
  v_run runs;
  v_blocked text;
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run;
  PERFORM engine.lock_admission(v_run);
  SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;
  IF v_run.status <> 'queued' THEN
    RETURN '{"admitted": false, "rings": []}';
  END IF;
  v_blocked := engine.blocked_by(v_run);
  IF v_blocked IS NOT NULL THEN
    RETURN jsonb_build_object('admitted', false, 'blocked_by', v_blocked, 'rings', '[]'::jsonb);
  END IF;
  PERFORM engine.let_go(v_run);
  RETURN jsonb_build_object(
    'admitted', true,
    'ended', NOT EXISTS (SELECT 1 FROM steps WHERE run_id = p_run AND status IN ('ready', 'running', 'waiting')),
    'rings', engine.emit(jsonb_build_array(jsonb_build_object(
      'run_id', p_run, 'kind', CASE WHEN v_run.started_at IS NULL THEN 'run.started' ELSE 'run.resumed' END,
      'data', jsonb_build_object('status', 'running')))));
END $$;
