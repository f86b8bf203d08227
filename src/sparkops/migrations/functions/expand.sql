CREATE OR REPLACE FUNCTION engine.expand(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_EXPAND. Adds the next frames of a `map` or `loop` step with the steps of their bodies, all pending. The caller
-- holds the lock of the run. Repeating it, or going on after a crash, adds each frame once: `expanded` says where.
-- It is a heartbeat as well: batch after batch holds the step, so that the worker's own would pass it over.
-- p: {step_id, attempt, token, lease_seconds, total (null for a loop), concurrency, stop_on_error, expanded: how many frames there are,
--     frames: [{no, value, ids: {key: id of the step}}], body: [{…columns; needs, dependents and reads as keys}],
--     around: {key: id of a step outside of the body that is read in it}, max_steps,
--     labels: those of what the frames see, missing where the row of the step has them}
-- Returns {expanded, refused}: how many frames there are now; refused: the run would have more than max_steps steps.
-- Raises SF001, SF006.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_expansion expansions;
  v_added bigint := jsonb_array_length(p -> 'frames');
  v_rows bigint := v_added * jsonb_array_length(p -> 'body');
  v_labels text[] := CASE WHEN p ? 'labels' THEN ARRAY(SELECT jsonb_array_elements_text(p -> 'labels'))
                          ELSE v_step.labels END;
BEGIN
  IF v_step.cancel_requested THEN
    RAISE EXCEPTION 'step % was asked to stop', v_step.id USING ERRCODE = 'SF006';
  END IF;
  INSERT INTO expansions (step_id, run_id, project_id, total, concurrency, stop_on_error)
  VALUES (v_step.id, v_step.run_id, v_step.project_id, (p ->> 'total')::bigint, (p ->> 'concurrency')::bigint,
          (p ->> 'stop_on_error')::boolean)
  ON CONFLICT DO NOTHING;
  SELECT * INTO v_expansion FROM expansions WHERE step_id = v_step.id FOR UPDATE;
  IF v_expansion.expanded <> (p ->> 'expanded')::bigint OR v_added = 0 THEN
    RETURN jsonb_build_object('expanded', v_expansion.expanded, 'refused', false);
  END IF;
  UPDATE runs SET step_count = step_count + v_rows
   WHERE id = v_step.run_id AND step_count + v_rows <= (p ->> 'max_steps')::bigint;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('expanded', v_expansion.expanded, 'refused', true);
  END IF;

  INSERT INTO frames (parent_id, frame_no, run_id, project_id, value)
  SELECT v_step.id, f.no, v_step.run_id, v_step.project_id, nullif(f.value, 'null')
    FROM jsonb_to_recordset(p -> 'frames') AS f (no bigint, value jsonb);
  INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, queue, priority, held, inline, mechanical,
                     hands_over, needs, dependents, reads, reads_input, reads_frame, effect_class, timeout,
                     max_attempts, backoff, max_backoff, jitter, retries_timeouts, deadline, on_error, status, parent_id,
                     frame_no, labels)
  SELECT (f.ids ->> b.node_key)::uuid, v_step.run_id, v_step.project_id, b.node_key,
         v_step.path || CASE v_step.type WHEN 'map' THEN '[' || f.no || '].' ELSE '#' || f.no || '.' END || b.node_key,
         b.type, b.position, b.queue, v_step.priority, v_step.held, b.inline, b.mechanical, b.hands_over,
         ARRAY(SELECT (f.ids ->> k)::uuid FROM jsonb_array_elements_text(b.needs) k),
         ARRAY(SELECT (f.ids ->> k)::uuid FROM jsonb_array_elements_text(b.dependents) k),
         ARRAY(SELECT coalesce(f.ids ->> k, p -> 'around' ->> k)::uuid FROM jsonb_array_elements_text(b.reads) k),
         b.reads_input, b.reads_frame, b.effect_class, b.timeout, b.max_attempts, b.backoff, b.max_backoff, b.jitter,
         b.retries_timeouts, b.deadline, b.on_error, 'pending', v_step.id, f.no, v_labels
    FROM jsonb_to_recordset(p -> 'frames') AS f (no bigint, ids jsonb)
   CROSS JOIN jsonb_to_recordset(p -> 'body') AS b (
           node_key text, type text, position bigint, queue text, inline boolean, mechanical boolean,
           hands_over boolean, needs jsonb, dependents jsonb, reads jsonb, reads_input boolean, reads_frame boolean,
           effect_class text, timeout interval, max_attempts bigint, backoff interval, max_backoff interval,
           jitter boolean, retries_timeouts boolean, deadline interval, on_error text);
  UPDATE expansions SET expanded = expanded + v_added WHERE step_id = v_step.id;
  UPDATE steps SET lease_expires_at = clock_timestamp() + make_interval(secs => (p ->> 'lease_seconds')::float8),
                   labels = v_labels
   WHERE id = v_step.id;
  RETURN jsonb_build_object('expanded', v_expansion.expanded + v_added, 'refused', false);
END $$;
