CREATE OR REPLACE FUNCTION engine.judges_output(p_project uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether a rule that holds in a project is on the output of runs.
  SELECT EXISTS (SELECT 1 FROM policies
                  WHERE (project_id = p_project OR project_id IS NULL) AND 'output' = ANY (subjects));
$$;
