CREATE OR REPLACE FUNCTION engine.voice(
  p_approval approvals, p_user uuid, OUT voice uuid, OUT groups int[], OUT voices uuid[])
LANGUAGE sql STABLE AS $$
-- Whose voice this person has in a question as things are now, and for which groups of approvers it counts: their own
-- where the question names them, else that of somebody who has given it to them, or to their role. Several who have the
-- same voice count as one, and so does one who has several. `voices`: theirs and all that they were given, which go on
-- with it when they give it away. NULL: they have none, or have given it to somebody else.
  WITH heard AS MATERIALIZED (
    SELECT h.voice, engine.named_in(p_approval, h.voice) AS groups
      FROM (SELECT p_user AS voice
            UNION
            SELECT given::uuid
              FROM jsonb_array_elements(p_approval.reassigned) r
              CROSS JOIN jsonb_array_elements_text(coalesce(r -> 'voices', jsonb_build_array(r -> 'voice'))) given
             WHERE r ->> 'to' = ANY (engine.answerer(p_approval, p_user))) h)
  SELECT h.voice, ARRAY(SELECT DISTINCT place FROM heard, unnest(heard.groups) place ORDER BY place),
         ARRAY(SELECT heard.voice FROM heard ORDER BY heard.voice)
    FROM heard h
   WHERE h.groups IS NOT NULL AND NOT EXISTS (
     SELECT 1 FROM jsonb_array_elements(p_approval.reassigned) r WHERE (r ->> 'by')::uuid = p_user)
   ORDER BY h.voice <> p_user, h.voice LIMIT 1;
$$;
