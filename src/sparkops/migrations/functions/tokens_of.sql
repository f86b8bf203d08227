CREATE OR REPLACE FUNCTION engine.tokens_of(p_usage jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
-- The tokens of one model call, read and written; cached and reasoning tokens are among them.
  SELECT coalesce((p_usage ->> 'input_tokens')::bigint, 0) + coalesce((p_usage ->> 'output_tokens')::bigint, 0);
$$;
