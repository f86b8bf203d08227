CREATE OR REPLACE FUNCTION engine.hold_deletion(p_deletion uuid, p_token uuid, p_lease interval) RETURNS uuid
LANGUAGE plpgsql AS $$
-- Asserts within a transaction that this worker still removes the project, and prolongs its lease. Returns the project. It has no right of
-- its own: only functions that run as the owner may use it. Raises SF001: another worker has it, or nobody.
DECLARE
  v_project uuid;
BEGIN
  UPDATE project_deletions SET lease_expires_at = clock_timestamp() + p_lease
   WHERE id = p_deletion AND claim_token = p_token AND status = 'removing' RETURNING project_id INTO v_project;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the deletion % is in other hands', p_deletion USING ERRCODE = 'SF001';
  END IF;
  RETURN v_project;
END $$;
