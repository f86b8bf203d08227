CREATE OR REPLACE FUNCTION engine.budget_blocks(p_for jsonb) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether a budget is still in the way of a step that waits for it: its period has not turned, it was not given up, and
-- what the step was about to do would still go beyond what may be done without a wait. p_for: as `reserve` said.
  SELECT EXISTS (
    SELECT 1 FROM budgets b JOIN budget_definitions d ON d.id = b.definition_id AND d.archived_at IS NULL
      JOIN engine.budget_over(ARRAY(SELECT i::uuid FROM jsonb_array_elements_text(p_for -> 'budgets') i),
                              (p_for ->> 'micros')::bigint, (p_for ->> 'tokens')::bigint, 1, 0) o ON o.id = b.id
     WHERE (b.ends_at IS NULL OR b.ends_at > clock_timestamp()) AND o.action = 'pause' AND o.beyond);
$$;
