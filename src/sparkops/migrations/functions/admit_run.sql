CREATE OR REPLACE FUNCTION engine.admit_run(p_run uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_ADMIT. A queued run goes on if there is room for it now; one that waited for a budget is counted with that, and
-- SF008 is raised, and nothing written, where there is no room for it. The caller advances the run afterwards if it says so:
-- a run whose steps were all decided when it was accepted is at its end.
-- A run below one that a person has paused is paused like that one instead: it was passed over by the pause if people
-- were still asked whether it may begin. It does not stay in its line, where it would keep back those behind it.
-- Returns {admitted, blocked_by, ended, rings}; not admitted and blocked by nothing: it is not queued any more.
-- Lock order: admission, run, steps, budgets, audit, counters.
DECLARE
  v_run runs;
  v_blocked text;
  v_paused_by uuid;
  v_counted jsonb := '[]';
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
  -- Under the lock of the run: a pause of the one above that is committed later finds this one going on, and holds it.
  SELECT paused_by INTO v_paused_by FROM runs WHERE id = v_run.parent_run_id AND status = 'paused';
  IF v_paused_by IS NOT NULL THEN
    RETURN jsonb_build_object('admitted', false, 'rings', engine.pause_run(p_run, v_paused_by) -> 'rings');
  END IF;
  PERFORM engine.let_go(v_run);
  IF v_run.uncounted THEN
    v_counted := engine.count_run(p_run, engine.let_pass(p_run));
    UPDATE runs SET uncounted = false WHERE id = p_run;
  END IF;
  RETURN jsonb_build_object(
    'admitted', true,
    'ended', NOT EXISTS (SELECT 1 FROM steps WHERE run_id = p_run AND status IN ('ready', 'running', 'waiting')),
    'rings', engine.emit(jsonb_build_array(jsonb_build_object(
      'run_id', p_run, 'kind', CASE WHEN v_run.started_at IS NULL THEN 'run.started' ELSE 'run.resumed' END,
      'data', jsonb_build_object('status', 'running'))) || v_counted));
END $$;
