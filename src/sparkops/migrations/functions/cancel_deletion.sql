CREATE OR REPLACE FUNCTION engine.cancel_deletion(p_project uuid, p_user uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Takes back that a project is to be deleted, while nothing has been removed. The stop is released if it was ordered for
-- the deletion. Only an owner of the project may, whoever calls this. Returns {result: cancelled | none | refused}.
DECLARE
  v_deletion project_deletions;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM memberships m
                  WHERE m.project_id = p_project AND m.user_id = p_user AND m.role = 'owner') THEN
    RETURN jsonb_build_object('result', 'refused');
  END IF;
  UPDATE project_deletions
     SET status = 'cancelled', cancelled_by = p_user, cancelled_at = clock_timestamp()
   WHERE project_id = p_project AND status = 'asked' RETURNING * INTO v_deletion;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('result', 'none');
  END IF;
  IF v_deletion.halt_id IS NOT NULL THEN
    PERFORM engine.release_halt(v_deletion.halt_id, p_user);
  END IF;
  PERFORM engine.write_audit(
    p_project, 'user:' || p_user, 'project.deletion.cancel', 'project:' || p_project,
    jsonb_build_object('slug', v_deletion.slug, 'asked_at', v_deletion.asked_at));
  RETURN jsonb_build_object('result', 'cancelled');
END $$;
