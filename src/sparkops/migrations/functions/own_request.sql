CREATE OR REPLACE FUNCTION engine.own_request(p_approval approvals, p_user uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether this person is behind the run that a question is about, and so does not answer it: the run acts on their
-- behalf, or they made the API key that it was started with, or a key of the service account that made that one.
  WITH RECURSIVE makers AS (
    SELECT k.created_by AS id FROM runs r JOIN api_keys k ON k.id = r.created_by_key WHERE r.id = p_approval.run_id
    UNION
    SELECT k.created_by FROM makers m JOIN users u ON u.id = m.id AND u.kind = 'service'
      JOIN api_keys k ON k.user_id = u.id)
  SELECT coalesce(p_approval.requested_by = p_user, false) OR EXISTS (SELECT 1 FROM makers WHERE id = p_user);
$$;
