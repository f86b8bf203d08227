CREATE OR REPLACE FUNCTION engine.budget_first_bar(p_limit bigint, p_thresholds jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
-- How much fits below a limit before somebody is asked, something waits or is denied; null where there is no limit.
  SELECT div(p_limit::numeric * min((t ->> 'percent')::bigint), 100)::bigint
    FROM jsonb_array_elements(engine.budget_bars(p_thresholds)) t WHERE t ->> 'action' <> 'notify';
$$;
