CREATE OR REPLACE FUNCTION engine.standing(p_approval approvals, p_users uuid[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- What it comes to that these people agree: {agreed: how many people, missing: the groups of which nobody has, enough}.
-- Those count who may still answer; with one voice they count as one.
  WITH agreed AS MATERIALIZED (
    SELECT w.voice, w.groups FROM unnest(p_users) u (id) CROSS JOIN LATERAL engine.voice(p_approval, u.id) w),
  counted AS (
    SELECT (SELECT count(DISTINCT voice) FROM agreed) AS people,
           ARRAY(SELECT place FROM generate_series(1, jsonb_array_length(p_approval.demands -> 'approvers')) place
                  WHERE NOT EXISTS (SELECT 1 FROM agreed WHERE place = ANY (groups))) AS missing)
  SELECT jsonb_build_object('agreed', people, 'missing', to_jsonb(missing), 'enough',
                            people >= (p_approval.demands ->> 'quorum')::int AND cardinality(missing) = 0)
    FROM counted;
$$;
