CREATE OR REPLACE FUNCTION engine.stale(p_steps uuid[], p_more jsonb[]) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
-- Of these ends, those whose calls were judged under other rules than those in force: they have to be judged again
-- before anything of them is written.
  WITH judged AS (
    SELECT s.id, s.project_id, (i.more ->> 'policy_version')::bigint AS stamp
      FROM unnest(p_steps, p_more) AS i (step_id, more) JOIN steps s ON s.id = i.step_id
     WHERE i.more ? 'policy_version'),
  current AS (
    SELECT p.project_id, engine.policy_stamp(p.project_id) AS stamp
      FROM (SELECT DISTINCT project_id FROM judged) p)
  SELECT coalesce(array_agg(j.id), '{}')
    FROM judged j JOIN current c ON c.project_id = j.project_id WHERE c.stamp <> j.stamp;
$$;
