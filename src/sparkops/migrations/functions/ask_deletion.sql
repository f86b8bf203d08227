CREATE OR REPLACE FUNCTION engine.ask_deletion(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Asks for the deletion of a project: it is stopped at once, as by the kill switch, and removed when the delay is over.
-- p: {id, halt_id, project_id, user_id, reason, delay_seconds}. Only an owner of the project may, whoever calls this.
-- Returns {result: asked | open | refused}; open: somebody has asked before. As order_halt, it waits for the PREPAREs in
-- flight; another that was released between two statements gives {result: again}.
DECLARE
  v_project projects;
  v_halt jsonb;
BEGIN
  SELECT * INTO v_project FROM projects p_ WHERE p_.id = (p ->> 'project_id')::uuid FOR NO KEY UPDATE;
  IF NOT EXISTS (SELECT 1 FROM memberships m WHERE m.project_id = v_project.id
                    AND m.user_id = (p ->> 'user_id')::uuid AND m.role = 'owner') THEN
    RETURN jsonb_build_object('result', 'refused');
  END IF;
  IF EXISTS (SELECT 1 FROM project_deletions d WHERE d.project_id = v_project.id AND d.status IN ('asked', 'removing')) THEN
    RETURN jsonb_build_object('result', 'open');
  END IF;
  v_halt := engine.order_halt(jsonb_build_object(
    'id', p -> 'halt_id', 'scope', 'project', 'scope_id', v_project.id, 'project_id', v_project.id, 'kind', 'stop',
    'reason', 'The project is to be deleted: ' || (p ->> 'reason'), 'user_id', p -> 'user_id'));
  IF v_halt ->> 'id' IS NULL THEN
    RETURN jsonb_build_object('result', 'again');
  END IF;
  INSERT INTO project_deletions (id, project_id, slug, name, reason, halt_id, asked_by, due_at)
  VALUES ((p ->> 'id')::uuid, v_project.id, v_project.slug, v_project.name, p ->> 'reason',
          CASE WHEN (v_halt -> 'created')::boolean THEN (v_halt ->> 'id')::uuid END, (p ->> 'user_id')::uuid,
          clock_timestamp() + make_interval(secs => (p ->> 'delay_seconds')::float8));
  PERFORM engine.write_audit(
    v_project.id, 'user:' || (p ->> 'user_id'), 'project.deletion.ask', 'project:' || v_project.id,
    jsonb_build_object('slug', v_project.slug, 'reason', p -> 'reason', 'delay_seconds', p -> 'delay_seconds'));
  RETURN jsonb_build_object('result', 'asked');
END $$;
