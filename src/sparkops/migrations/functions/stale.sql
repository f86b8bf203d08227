CREATE OR REPLACE FUNCTION engine.stale(p_steps uuid[], p_more jsonb[]) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
-- Of these ends, those whose calls were judged under another version of their project's rules than the one in force:
-- they have to be judged again before anything of them is written.
  SELECT coalesce(array_agg(s.id), '{}')
    FROM unnest(p_steps, p_more) AS i (step_id, more) JOIN steps s ON s.id = i.step_id
    LEFT JOIN policies p ON p.project_id = s.project_id
   WHERE i.more ? 'policy_version' AND (i.more ->> 'policy_version')::bigint <> coalesce(p.version, 0);
$$;
