CREATE OR REPLACE FUNCTION engine.speaks_for(p_approval approvals, p_user uuid) RETURNS int[]
LANGUAGE sql STABLE AS $$
-- The groups of approvers, numbered from 1, for which this person may answer a question as things are now; whom an
-- escalation called may answer for each. Empty where the question demands none. NULL: they may not answer: they are no
-- member any more, or no person, or disabled, or their role does not allow `approval:answer` (core/permissions.py; a
-- test compares), or the run acts on their behalf, or they belong to no group.
  SELECT CASE WHEN cardinality(named.groups) > 0 OR p_approval.demands -> 'approvers' = '[]' THEN named.groups END
    FROM memberships m
    JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL AND u.kind = 'person'
    CROSS JOIN LATERAL (
      SELECT coalesce(array_agg(g.place::int ORDER BY g.place), '{}') AS groups
        FROM jsonb_array_elements(p_approval.demands -> 'approvers') WITH ORDINALITY AS g (people, place)
       WHERE g.people ?| ARRAY[m.role, u.email]
          OR p_approval.escalated_at IS NOT NULL
             AND p_approval.demands -> 'escalate_to' ?| ARRAY[m.role, u.email]) named
   WHERE m.project_id = p_approval.project_id AND m.user_id = p_user
     AND m.role IN ('owner', 'admin', 'developer', 'operator')
     AND m.user_id IS DISTINCT FROM p_approval.requested_by;
$$;
