CREATE OR REPLACE FUNCTION engine.claim_deletion(p_token uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Takes a deletion whose delay is over, or whose worker was not heard of within its lease; NULL: there is none.
-- Nobody is a member of the project from then on, so that it looks as if it did not exist, and nothing is taken back;
-- API keys that reach no other project are revoked.
-- Returns {id, project_id}.
DECLARE
  v_deletion project_deletions;
  v_key api_keys;
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
    FOR v_key IN
      UPDATE api_keys k SET revoked_at = clock_timestamp()
       WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
         AND EXISTS (SELECT 1 FROM api_key_projects r WHERE r.key_id = k.id AND r.project_id = v_deletion.project_id)
         AND NOT EXISTS (
           SELECT 1 FROM api_key_projects r WHERE r.key_id = k.id AND NOT EXISTS (
             SELECT 1 FROM project_deletions d WHERE d.project_id = r.project_id AND d.status = 'removing'))
       RETURNING k.*
    LOOP
      PERFORM engine.write_audit(
        v_deletion.project_id, 'worker', 'key.revoke', 'key:' || v_key.id,
        jsonb_build_object('because', 'deletion'),
        jsonb_build_object('name', v_key.name, 'prefix', 'spk_' || v_key.public_id, 'scopes', to_jsonb(v_key.scopes),
                           'expires_at', v_key.expires_at));
    END LOOP;
    PERFORM engine.write_audit(
      v_deletion.project_id, 'worker', 'project.deletion.start', 'project:' || v_deletion.project_id,
      jsonb_build_object('slug', v_deletion.slug, 'asked_by', v_deletion.asked_by, 'asked_at', v_deletion.asked_at));
  END IF;
  RETURN jsonb_build_object('id', v_deletion.id, 'project_id', v_deletion.project_id);
END $$;
