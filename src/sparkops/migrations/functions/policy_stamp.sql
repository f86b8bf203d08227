CREATE OR REPLACE FUNCTION engine.policy_stamp(p_project uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
-- What rises with every change of the rules that hold in a project: decisions made under another stamp are made again.
  SELECT coalesce(sum(version), 0)::bigint FROM policy_stamps
   WHERE scope_id IN (p_project, '00000000-0000-0000-0000-000000000000')
$$;
