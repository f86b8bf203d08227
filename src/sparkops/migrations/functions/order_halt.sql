CREATE OR REPLACE FUNCTION engine.order_halt(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Puts a halt in force. p: {id, scope, scope_id, project_id, kind, reason, user_id}.
-- Of a stop: when this has been committed, nothing is prepared any more in its scope. It waits for the PREPAREs that
-- are in flight there, which hold the same lock shared, as long as a lock may be waited for; later ones see the row.
-- Returns {id, created}; one of the same kind that is in force there already is returned as it is.
DECLARE
  v_id uuid;
BEGIN
  IF p ->> 'kind' = 'stop' THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('stop/' || (p ->> 'scope_id'), 0));
  END IF;
  INSERT INTO halts (id, scope, scope_id, project_id, kind, reason, created_by)
  SELECT h.id, h.scope, h.scope_id, h.project_id, h.kind, h.reason, (p ->> 'user_id')::uuid
    FROM jsonb_populate_record(NULL::halts, p) h
  ON CONFLICT (scope_id, kind) WHERE released_at IS NULL DO NOTHING
  RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    RETURN jsonb_build_object('created', false, 'id', (
      SELECT id FROM halts
       WHERE scope_id = (p ->> 'scope_id')::uuid AND kind = p ->> 'kind' AND released_at IS NULL));
  END IF;
  PERFORM engine.write_audit(
    (p ->> 'project_id')::uuid, 'user:' || (p ->> 'user_id'), 'halt.order', 'halt:' || v_id,
    jsonb_build_object('scope', p -> 'scope', 'scope_id', p -> 'scope_id', 'kind', p -> 'kind', 'reason', p -> 'reason'));
  RETURN jsonb_build_object('created', true, 'id', v_id);
END $$;
