CREATE OR REPLACE FUNCTION engine.lets_out(p_approval approvals, p_again jsonb) RETURNS boolean
LANGUAGE sql AS $$
-- Whether people have said yes, in time, to this very call: to its request, its tool and the version of its agent.
-- p_again: the call as the gate proposes it now.
  SELECT p_approval.status = 'approved' AND p_approval.expires_at > clock_timestamp()
     AND p_approval.request_hash = p_again ->> 'request_hash'
     AND p_approval.tool_hash IS NOT DISTINCT FROM p_again ->> 'tool_hash'
     AND p_approval.agent_version_id IS NOT DISTINCT FROM (p_again ->> 'agent_version_id')::uuid;
$$;
