CREATE OR REPLACE FUNCTION engine.release_halt(p_halt uuid, p_user uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Ends a halt; what it held back goes on. False: it was released before, or the project is to be deleted and stays
-- stopped until that is taken back; then nothing changes.
DECLARE
  v_halt halts;
BEGIN
  UPDATE halts SET released_at = clock_timestamp(), released_by = p_user
   WHERE id = p_halt AND released_at IS NULL
     AND NOT (kind = 'stop' AND scope = 'project' AND EXISTS (
       SELECT 1 FROM project_deletions d WHERE d.project_id = halts.project_id AND d.status IN ('asked', 'removing')))
   RETURNING * INTO v_halt;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM engine.write_audit(
    v_halt.project_id, 'user:' || p_user, 'halt.release', 'halt:' || p_halt,
    jsonb_build_object('scope', v_halt.scope, 'scope_id', v_halt.scope_id, 'kind', v_halt.kind));
  RETURN true;
END $$;
