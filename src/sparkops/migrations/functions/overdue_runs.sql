CREATE OR REPLACE FUNCTION engine.overdue_runs(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_SWEEP. Looks at up to p_limit runs whose deadline is over as their rows say, the earliest first; those that
-- stood under halts get that time back, once. What is halted now is left alone, as is what is paused or queued, and
-- what people have to let begin. Never waits. Returns {overdue: [runs to cancel], looked: how many it looked at}.
DECLARE
  v_halted uuid[] := engine.halted();
  v_run runs;
  v_now timestamptz;
  v_stood interval;
  v_overdue jsonb := '[]';
  v_looked int := 0;
BEGIN
  IF '00000000-0000-0000-0000-000000000000' = ANY (v_halted) THEN
    RETURN '{"overdue": [], "looked": 0}';
  END IF;
  FOR v_run IN
    SELECT * FROM runs r
     WHERE r.deadline_at < clock_timestamp() AND r.finished_at IS NULL
       AND r.status NOT IN ('cancelling', 'compensating', 'paused', 'queued')
       AND NOT (r.status = 'awaiting_approval' AND r.started_at IS NULL)
       AND r.project_id <> ALL (v_halted)
     ORDER BY r.deadline_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    v_looked := v_looked + 1;
    v_now := clock_timestamp();
    v_stood := engine.stood(v_run.project_id, coalesce(v_run.clock_from, v_run.started_at), v_now);
    IF v_stood > interval '0' THEN
      UPDATE runs SET deadline_at = deadline_at + v_stood, clock_from = v_now WHERE id = v_run.id;
    END IF;
    IF v_run.deadline_at + v_stood < v_now THEN
      v_overdue := v_overdue || to_jsonb(v_run.id);
    END IF;
  END LOOP;
  RETURN jsonb_build_object('overdue', v_overdue, 'looked', v_looked);
END $$;
