CREATE OR REPLACE FUNCTION engine.named_in(p_approval approvals, p_user uuid) RETURNS int[]
LANGUAGE sql STABLE AS $$
-- The groups of approvers, numbered from 1, to which this person belongs as things are now; whom an escalation called
-- belongs to each. Empty where the question demands none. NULL: they may not answer, or belong to no group.
  SELECT CASE WHEN cardinality(named.groups) > 0 OR p_approval.demands -> 'approvers' = '[]' THEN named.groups END
    FROM engine.answerer(p_approval, p_user) AS who
    CROSS JOIN LATERAL (
      SELECT coalesce(array_agg(g.place::int ORDER BY g.place), '{}') AS groups
        FROM jsonb_array_elements(p_approval.demands -> 'approvers') WITH ORDINALITY AS g (people, place)
       WHERE g.people ?| who
          OR p_approval.escalated_at IS NOT NULL AND p_approval.demands -> 'escalate_to' ?| who) named
   WHERE who IS NOT NULL;
$$;
