CREATE OR REPLACE FUNCTION engine.write_audit(
  p_project uuid, p_actor text, p_action text, p_object text, p_detail jsonb) RETURNS void
LANGUAGE sql AS $$
-- Adds one line to the audit trail; the trigger of the table fills its hash.
  INSERT INTO audit (project_id, actor, action, object, detail, content_hash)
  VALUES (p_project, p_actor, p_action, p_object, p_detail, '');
$$;
