CREATE OR REPLACE FUNCTION engine.calls_below(p_run uuid) RETURNS TABLE (key text, made calls, may_stand boolean)
LANGUAGE sql STABLE AS $$
-- The calls of a run and of all runs below it, each under the step of this run's workflow to which it belongs: for a
-- body or a sub-workflow that is the step whose body or sub-workflow it is. Without what took an effect back.
-- may_stand: for all that is known its effect has happened; that somebody gave up to find out says nothing about it.
  WITH RECURSIVE tree (run_id, key) AS (
    SELECT p_run, NULL::text
    UNION ALL
    SELECT r.id, coalesce(t.key, substring(s.path FROM '^[a-z][a-z0-9_]*'))
      FROM tree t JOIN runs r ON r.parent_run_id = t.run_id JOIN steps s ON s.id = r.parent_step_id)
  SELECT coalesce(t.key, substring(s.path FROM '^[a-z][a-z0-9_]*')), c,
         c.status IN ('done', 'unknown', 'prepared') OR coalesce(c.error ->> 'code' = 'given-up', false)
    FROM tree t JOIN steps s ON s.run_id = t.run_id AND s.undo_of IS NULL
    JOIN calls c ON c.run_id = s.run_id AND c.step_id = s.id;
$$;
