CREATE OR REPLACE FUNCTION engine.covers(p_asked jsonb, p_demands jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
-- Whether a question put for p_asked is the one that p_demands puts, both as `demands` says: it takes the same people, and
-- every rule that asks has been asked for, with the words that it has now. One that asks no more changes nothing. A
-- question of a release that did not note the rules is known by what it takes alone.
  SELECT p_asked - 'rules' = p_demands - 'rules'
     AND (NOT p_asked ? 'rules' OR p_asked -> 'rules' @> (p_demands -> 'rules'));
$$;
