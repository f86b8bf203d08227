CREATE OR REPLACE FUNCTION engine.budget_over(p_budgets uuid[], p_micros bigint, p_tokens bigint, p_calls bigint, p_runs bigint)
RETURNS TABLE (id uuid, kind text, percent bigint, action text, of bigint, used bigint, beyond boolean)
LANGUAGE sql STABLE AS $$
-- The thresholds of these budgets that so much more would reach; `beyond`: it would go beyond. What would not grow
-- reaches nothing. The caller holds the rows, or only looks.
  SELECT b.id, u.kind, t.percent, t.action, u.most, u.used, (u.used + u.more)::numeric * 100 > u.most::numeric * t.percent
    FROM budgets b
    CROSS JOIN LATERAL (VALUES
      ('money', b.limit_micros, b.spent_micros + b.reserved_micros, p_micros),
      ('tokens', b.limit_tokens, b.spent_tokens + b.reserved_tokens, p_tokens),
      ('calls', b.limit_calls, b.calls, p_calls),
      ('runs', b.limit_runs, b.runs, p_runs)) AS u (kind, most, used, more)
    CROSS JOIN LATERAL jsonb_to_recordset(coalesce(b.thresholds, '[{"percent": 100, "action": "deny"}]'))
      AS t (percent bigint, action text)
   WHERE b.id = ANY (p_budgets) AND u.more > 0 AND u.most IS NOT NULL
     AND (u.used + u.more)::numeric * 100 >= u.most::numeric * t.percent;
$$;
