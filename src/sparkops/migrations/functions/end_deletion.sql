CREATE OR REPLACE FUNCTION engine.end_deletion(p_deletion uuid, p_token uuid, p_objects bigint, p_lease interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes the project itself, after its rows and its objects; what is kept of it are its tombstone and the audit trail.
-- False: a run was accepted meanwhile, which has to be removed before.
DECLARE
  v_project uuid := engine.hold_deletion(p_deletion, p_token, p_lease);
  v_deletion project_deletions;
BEGIN
  PERFORM 1 FROM projects WHERE id = v_project FOR UPDATE;
  IF EXISTS (SELECT 1 FROM runs WHERE project_id = v_project) THEN
    RETURN false;
  END IF;
  DELETE FROM halts WHERE project_id = v_project;
  DELETE FROM condemned_objects WHERE project_id = v_project;
  DELETE FROM policy_stamps WHERE scope_id = v_project;
  DELETE FROM projects WHERE id = v_project;
  UPDATE project_deletions
     SET status = 'done', finished_at = clock_timestamp(), claim_token = NULL, lease_expires_at = NULL,
         removed = removed || jsonb_build_object('objects', p_objects + coalesce((removed ->> 'objects')::bigint, 0))
   WHERE id = p_deletion RETURNING * INTO v_deletion;
  PERFORM engine.write_audit(
    v_project, 'worker', 'project.deletion.end', 'project:' || v_project,
    jsonb_build_object('slug', v_deletion.slug, 'removed', v_deletion.removed));
  RETURN true;
END $$;
