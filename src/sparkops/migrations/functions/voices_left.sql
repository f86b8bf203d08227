CREATE OR REPLACE FUNCTION engine.voices_left(p_approval approvals) RETURNS int
LANGUAGE plpgsql STABLE AS $$
-- How many people could agree to a question before it expires, as `standing` counts them: if all did who may answer as
-- things are now, or once it is escalated.
BEGIN
  IF p_approval.escalate_at < p_approval.expires_at THEN
    p_approval.escalated_at := coalesce(p_approval.escalated_at, p_approval.escalate_at);
  END IF;
  RETURN engine.standing(p_approval, ARRAY(
    SELECT user_id FROM memberships WHERE project_id = p_approval.project_id)) ->> 'agreed';
END $$;
