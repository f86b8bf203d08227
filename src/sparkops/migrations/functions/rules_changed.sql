CREATE OR REPLACE FUNCTION engine.rules_changed(p_scope uuid) RETURNS void
LANGUAGE sql AS $$
-- Said by whoever changes what is allowed in a project, or (the nil UUID) in the installation, in the same transaction.
  INSERT INTO policy_stamps AS s (scope_id, version) VALUES (p_scope, 1)
  ON CONFLICT (scope_id) DO UPDATE SET version = s.version + 1
$$;
