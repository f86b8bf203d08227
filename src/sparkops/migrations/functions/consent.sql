CREATE OR REPLACE FUNCTION engine.consent(p_approval approvals) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- How far a question is agreed to, as `standing` says: by those who agreed to what is asked about now.
  SELECT engine.standing(p_approval, ARRAY(
    SELECT v.user_id FROM approval_votes v
     WHERE v.approval_id = p_approval.id AND v.vote = 'approve'
       AND v.request_hash = coalesce(p_approval.edited_hash, p_approval.request_hash)));
$$;
