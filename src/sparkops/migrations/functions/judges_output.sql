CREATE OR REPLACE FUNCTION engine.judges_output(p_project uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether what runs of a project hand out has to be judged: a rule that holds there is on it, or the project denies what
-- no rule allows.
  SELECT EXISTS (SELECT 1 FROM policies
                  WHERE (project_id = p_project OR project_id IS NULL) AND 'output' = ANY (subjects))
      OR EXISTS (SELECT 1 FROM projects WHERE id = p_project AND default_effect <> 'allow');
$$;
