CREATE OR REPLACE FUNCTION engine.unwoken(p_limit int) RETURNS TABLE (step_id uuid, kind text)
LANGUAGE sql AS $$
-- Part of T_SWEEP. Steps that wait for what is there already, because whoever brought it died before waking them.
  SELECT s.id, s.waiting_for ->> 'kind' FROM steps s
   WHERE s.status = 'waiting' AND (s.wake_at IS NULL OR s.waiting_for ->> 'kind' = 'budget')
     AND CASE s.waiting_for ->> 'kind'
           WHEN 'run' THEN EXISTS (
             SELECT 1 FROM runs r WHERE r.id = s.child_run_id AND r.finished_at IS NOT NULL)
           WHEN 'budget' THEN NOT engine.budget_blocks(s.waiting_for)
           WHEN 'frames' THEN engine.frames_ended(s.id)
           ELSE false END
   LIMIT p_limit;
$$;
