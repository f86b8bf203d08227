CREATE OR REPLACE FUNCTION engine.use_secret(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Hands out an encrypted version of a secret for one call, and writes the use down in the same transaction.
-- p: as for `note_secret_use`, but for `source`; `version` null: the latest. `scope` says whose secret is meant: one of
-- the call's own project, or one of the installation. No call reaches a secret of another project.
-- Returns {version, project_id, kek_id, wrapped_key, ciphertext}, bytes in hex; null: there is none, or it is archived.
DECLARE
  v_found jsonb;
BEGIN
  SELECT jsonb_build_object(
           'version', v.version, 'project_id', s.project_id, 'kek_id', v.kek_id,
           'wrapped_key', encode(v.wrapped_key, 'hex'), 'ciphertext', encode(v.ciphertext, 'hex'))
    INTO v_found
    FROM secrets s
    JOIN secret_versions v ON v.secret_id = s.id AND v.version = coalesce((p ->> 'version')::bigint, s.latest_version)
   WHERE s.name = p ->> 'name' AND s.archived_at IS NULL
     AND CASE p ->> 'scope' WHEN 'project' THEN s.project_id = (p ->> 'project_id')::uuid ELSE s.project_id IS NULL END;
  IF v_found IS NOT NULL THEN
    PERFORM engine.note_secret_use(
      p || jsonb_build_object('source', 'database', 'version', v_found -> 'version'));
  END IF;
  RETURN v_found;
END $$;
