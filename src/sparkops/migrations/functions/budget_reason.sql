CREATE OR REPLACE FUNCTION engine.budget_reason(
  p_name text, p_kind text, p_limit bigint, p_used bigint, p_more bigint, p_percent bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
-- Why something does not fit, in words for people and agents.
  SELECT CASE p_kind
    WHEN 'money' THEN format(
      'the budget %s allows %s%s, %s of it is spent or held, and this may cost %s', p_name,
      CASE WHEN p_percent = 100 THEN '' ELSE p_percent || ' % of ' END, engine.dollars(p_limit), engine.dollars(p_used),
      engine.dollars(p_more))
    ELSE format('the budget %s allows %s%s %s, %s are used, and this needs %s', p_name,
      CASE WHEN p_percent = 100 THEN '' ELSE p_percent || ' % of ' END, p_limit, p_kind, p_used, p_more) END;
$$;
