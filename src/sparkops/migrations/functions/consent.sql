CREATE OR REPLACE FUNCTION engine.consent(p_approval approvals) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- How far a question is agreed to: {agreed: how many people, missing: the groups of which nobody has, enough}. Those
-- count who agreed to what is asked about now, and who may still answer; with one voice they count as one.
  WITH agreed AS MATERIALIZED (
    SELECT w.voice, w.groups FROM approval_votes v CROSS JOIN LATERAL engine.voice(p_approval, v.user_id) w
     WHERE v.approval_id = p_approval.id AND v.vote = 'approve'
       AND v.request_hash = coalesce(p_approval.edited_hash, p_approval.request_hash)),
  counted AS (
    SELECT (SELECT count(DISTINCT voice) FROM agreed) AS people,
           ARRAY(SELECT place FROM generate_series(1, jsonb_array_length(p_approval.demands -> 'approvers')) place
                  WHERE NOT EXISTS (SELECT 1 FROM agreed WHERE place = ANY (groups))) AS missing)
  SELECT jsonb_build_object('agreed', people, 'missing', to_jsonb(missing), 'enough',
                            people >= (p_approval.demands ->> 'quorum')::int AND cardinality(missing) = 0)
    FROM counted;
$$;
