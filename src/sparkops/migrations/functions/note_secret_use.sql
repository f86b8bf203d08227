CREATE OR REPLACE FUNCTION engine.note_secret_use(p jsonb) RETURNS void
LANGUAGE sql AS $$
-- Writes down that a call is given the value of a secret, before it is: the use, and the line of the audit trail.
-- p: {project_id, scope, source, name, version, run_id, step_id, call_id}. The caller has read the value, or is about to.
  INSERT INTO secret_uses (id, project_id, scope, source, name, version, run_id, step_id, call_id)
  SELECT engine.new_id(), u.project_id, u.scope, u.source, u.name, u.version, u.run_id, u.step_id, u.call_id
    FROM jsonb_populate_record(NULL::secret_uses, p) u;
  SELECT engine.write_audit(
    (p ->> 'project_id')::uuid, 'worker', 'secret.read', 'secret:' || (p ->> 'name'), p - 'project_id' - 'name');
$$;
