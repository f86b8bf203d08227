CREATE OR REPLACE FUNCTION engine.refuse_run(p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
-- A run was asked for that the rules do not allow: there is none, but the decision is written down, and that somebody
-- asked. p: {run_id: the id that it would have had, project_id, actor, policy_version, request_hash, and what `decide`
-- takes}. False: the rules have changed, judge again; nothing was written.
BEGIN
  IF engine.policy_stamp((p ->> 'project_id')::uuid) <> (p ->> 'policy_version')::bigint THEN
    RETURN false;
  END IF;
  PERFORM engine.decide((p ->> 'run_id')::uuid, NULL, (p ->> 'project_id')::uuid, 'run', (p ->> 'run_id')::uuid,
                        p ->> 'request_hash', (p ->> 'policy_version')::bigint, p);
  PERFORM engine.write_audit((p ->> 'project_id')::uuid, p ->> 'actor', 'run.refuse', 'run:' || (p ->> 'run_id'),
                             jsonb_build_object('rule', p -> 'rule', 'reason', p -> 'reason', 'workflow', p -> 'name'));
  RETURN true;
END $$;
