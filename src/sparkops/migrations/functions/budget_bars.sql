CREATE OR REPLACE FUNCTION engine.budget_bars(p_thresholds jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- What is done on the way to a limit and at it: [{percent, action}] as stated, and nothing goes beyond the limit unless
-- something else is said of it or of what lies above it.
  SELECT CASE WHEN p_thresholds @? '$[*] ? (@.percent >= 100 && @.action != "notify")' THEN p_thresholds
              ELSE coalesce(p_thresholds, '[]') || '[{"percent": 100, "action": "deny"}]' END;
$$;
