CREATE OR REPLACE FUNCTION engine.note_outlook(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Keeps with an open question what the call that it is about would do, as its target told the worker that opened it.
-- The question counts as changed, so that who looks at it sees this. Where an approver has changed the request
-- meanwhile, this is better than none, but not than one of what is asked about now.
-- p: {step_id, attempt, token, approval_id, request_hash: of the request that was looked at, outlook}. Returns {}.
-- Raises SF001: the step is not held any more.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
BEGIN
  UPDATE approvals a
     SET outlook = p -> 'outlook' || jsonb_build_object('made_at', clock_timestamp(), 'request_hash', p -> 'request_hash'),
         revision = revision + 1
   WHERE a.id = (p ->> 'approval_id')::uuid AND a.step_id = v_step.id AND a.status = 'pending'
     AND (a.outlook IS NULL OR coalesce(a.edited_hash, a.request_hash) = p ->> 'request_hash'
                               AND a.outlook ->> 'request_hash' <> p ->> 'request_hash');
  RETURN '{}';
END $$;
