CREATE OR REPLACE FUNCTION engine.speaks_for(p_approval approvals, p_user uuid) RETURNS int[]
LANGUAGE sql STABLE AS $$
-- The groups of approvers, numbered from 1, for which this person may answer a question as things are now. Empty where
-- the question demands none. NULL: they may not answer.
  SELECT v.groups FROM engine.voice(p_approval, p_user) v WHERE v.voice IS NOT NULL;
$$;
