CREATE OR REPLACE FUNCTION engine.voice(p_approval approvals, p_user uuid, OUT voice uuid, OUT groups int[])
LANGUAGE sql STABLE AS $$
-- Whose voice this person has in a question as things are now, and for which groups of approvers it counts: their own
-- where the question names them, else that of somebody who has given it to them, or to their role. Several who have the
-- same voice count as one. NULL: they have none, or have given it to somebody else.
  WITH heard AS MATERIALIZED (
    SELECT p_user AS voice, engine.named_in(p_approval, p_user) AS groups
    UNION ALL
    SELECT (r ->> 'voice')::uuid, engine.named_in(p_approval, (r ->> 'voice')::uuid)
      FROM jsonb_array_elements(p_approval.reassigned) r
     WHERE r ->> 'to' = ANY (engine.answerer(p_approval, p_user)))
  SELECT h.voice, ARRAY(SELECT DISTINCT place FROM heard, unnest(heard.groups) place ORDER BY place)
    FROM heard h
   WHERE h.groups IS NOT NULL AND NOT EXISTS (
     SELECT 1 FROM jsonb_array_elements(p_approval.reassigned) r WHERE (r ->> 'by')::uuid = p_user)
   ORDER BY h.voice <> p_user, h.voice LIMIT 1;
$$;
