CREATE OR REPLACE FUNCTION engine.words(p_asked jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
-- What people are told of why they are asked: the words of every rule that asks, in order, each once. Where no rule is
-- named, as of budgets, the reason. p_asked: as `demands` takes it, with {reason}.
  SELECT coalesce(
    (SELECT string_agg(w.reason, E'\n' ORDER BY w.place)
       FROM (SELECT r.rule ->> 'reason' AS reason, min(r.place) AS place
               FROM jsonb_array_elements(engine.demands(p_asked) -> 'rules') WITH ORDINALITY r (rule, place)
              GROUP BY 1) w),
    p_asked ->> 'reason');
$$;
