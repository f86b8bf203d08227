CREATE OR REPLACE FUNCTION engine.asking_budgets(p_project uuid, p_budgets uuid[], p_terms jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- Which of these budgets ask people about a call: [{budget_id, name, about: call, reason, resets_at, percent}], each
-- once, as a question keeps them. p_budgets and p_terms: as `reserve` takes them.
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'budget_id', w.definition_id, 'name', w.name, 'about', 'call', 'resets_at', w.ends_at, 'percent', w.percent,
    'reason', engine.budget_reason(w.name, w.kind, w.of, w.used, CASE w.kind
      WHEN 'money' THEN w.micros WHEN 'tokens' THEN w.tokens ELSE 1 END, w.percent)) ORDER BY w.definition_id), '[]')
    FROM (SELECT DISTINCT ON (d.id) d.id AS definition_id, d.name, b.ends_at, o.kind, o.of, o.used, o.percent,
                 t.micros, t.tokens
            FROM (SELECT (p_terms ->> 'bound_micros')::bigint, coalesce((p_terms ->> 'bound_tokens')::bigint, 0))
                   AS t (micros, tokens)
            CROSS JOIN LATERAL engine.budget_over(p_budgets, t.micros, t.tokens, 1, 0) o
            JOIN budgets b ON b.id = o.id JOIN budget_definitions d ON d.id = b.definition_id
           WHERE o.beyond AND o.action = 'require_approval' AND engine.costs(p_project, p_terms)
           ORDER BY d.id, o.percent DESC) w;
$$;
