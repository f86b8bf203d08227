CREATE OR REPLACE FUNCTION engine.claim_deletion(p_token uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Takes a deletion whose delay is over, or whose worker was not heard of within its lease; NULL: there is none.
-- Nobody is a member of the project from then on, so that it looks as if it did not exist, and nothing is taken back.
-- Returns {id, project_id}.
DECLARE
  v_deletion project_deletions;
BEGIN
  SELECT * INTO v_deletion FROM project_deletions
   WHERE status = 'asked' AND due_at <= clock_timestamp()
      OR status = 'removing' AND lease_expires_at < clock_timestamp()
   ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE project_deletions
     SET status = 'removing', claim_token = p_token, lease_expires_at = clock_timestamp() + p_lease,
         started_at = coalesce(started_at, clock_timestamp())
   WHERE id = v_deletion.id;
  IF v_deletion.status = 'asked' THEN
    DELETE FROM memberships WHERE project_id = v_deletion.project_id;
    PERFORM engine.write_audit(
      v_deletion.project_id, 'worker', 'project.deletion.start', 'project:' || v_deletion.project_id,
      jsonb_build_object('slug', v_deletion.slug, 'asked_by', v_deletion.asked_by, 'asked_at', v_deletion.asked_at));
  END IF;
  RETURN jsonb_build_object('id', v_deletion.id, 'project_id', v_deletion.project_id);
END $$;
