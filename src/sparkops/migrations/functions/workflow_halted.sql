CREATE OR REPLACE FUNCTION engine.workflow_halted(p_workflow uuid) RETURNS boolean
LANGUAGE sql AS $$
-- Says whether this workflow is paused.
  SELECT EXISTS (SELECT 1 FROM halts WHERE scope_id = p_workflow AND kind = 'pause' AND released_at IS NULL);
$$;
