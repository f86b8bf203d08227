CREATE OR REPLACE FUNCTION engine.frames_ended(p_step uuid) RETURNS boolean
LANGUAGE sql AS $$
-- Whether a `map` or `loop` step has something to do again: all items of the map or the pass of the loop have ended;
-- or an item has failed, that stops the map, and the items which had been started have ended.
  SELECT coalesce((
    SELECT ended = coalesce(total, expanded) OR (stop_on_error AND failed > 0 AND ended = started)
      FROM expansions WHERE step_id = p_step), true);
$$;
