CREATE OR REPLACE FUNCTION engine.close_ahead(
  p_heads uuid[], p_steps uuid[], p_more jsonb[], p_session uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The steps that a worker ran ahead, in memory, after steps that have just ended well: each the only one that needed
-- the one before, and nothing of it has left the process. They are recorded whole, claim, call and end at once, if
-- everything is as if each were claimed, prepared and completed now; else the chain is left to others, from its start.
-- p_heads: the steps that have ended. p_steps, p_more: as for `complete`, whose `ahead` is [{path, output, seconds,
-- labels: as there, calls: [as note_calls]}] in order. The caller holds the locks of the runs and has compared the version of the rules.
-- Returns {next: the steps that need the last ones, last: those on which a frame ends, events}.
DECLARE
  v_halted uuid[];
  v_lines jsonb;
  v_calls jsonb;
  v_next jsonb;
  v_last jsonb;
  v_events jsonb;
BEGIN
  -- As in T_PREPARE: whoever orders a stop takes these locks alone. The statements after it read a new snapshot.
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/' || scope, 0))
    FROM (SELECT '00000000-0000-0000-0000-000000000000' AS scope
          UNION SELECT project_id::text FROM steps WHERE id = ANY (p_heads)) s;

  v_halted := engine.halted();
  IF '00000000-0000-0000-0000-000000000000' = ANY (v_halted) THEN
    RETURN '{"next": [], "last": [], "events": []}';
  END IF;
  WITH item AS (
    SELECT h.id AS head, h.run_id, h.finished_at AS since, i.more -> 'policy_version' AS policy_version, a.place,
           a.item ->> 'path' AS path, a.item -> 'output' AS output, a.item -> 'calls' AS calls,
           a.item -> 'labels' AS labels,
           (a.item ->> 'seconds')::float8 AS seconds
      FROM unnest(p_steps, p_more) AS i (step_id, more)
      JOIN steps h ON h.id = i.step_id
      JOIN runs r ON r.id = h.run_id AND r.status = 'running'
      CROSS JOIN LATERAL jsonb_array_elements(i.more -> 'ahead') WITH ORDINALITY AS a (item, place)
     WHERE h.id = ANY (p_heads) AND h.project_id <> ALL (v_halted)),
  chain AS (
    SELECT item.*, s.id, coalesce(
             s.status = 'pending' AND s.mechanical AND s.hands_over AND NOT s.held AND NOT s.cancel_requested
             AND s.needs = ARRAY[lag(s.id, 1, item.head) OVER through], false) AS as_claimed,
           sum(item.seconds) OVER through - item.seconds AS begun
      FROM item LEFT JOIN steps s ON s.run_id = item.run_id AND s.path = item.path
    WINDOW through AS (PARTITION BY item.head ORDER BY item.place)),
  whole AS (
    SELECT c.*, c.since + make_interval(secs => c.begun) AS started,
           c.since + make_interval(secs => c.begun + c.seconds) AS ended
      FROM chain c WHERE c.head IN (SELECT head FROM chain GROUP BY head HAVING bool_and(as_claimed))),
  closed AS (
    UPDATE steps s
       SET status = 'succeeded', attempt = s.attempt + 1, worker_session = p_session, output = nullif(w.output, 'null'),
           ready_at = w.started, started_at = w.started, finished_at = w.ended,
           labels = CASE WHEN w.labels IS NULL THEN s.labels ELSE ARRAY(SELECT jsonb_array_elements_text(w.labels)) END
      FROM whole w WHERE s.id = w.id
    RETURNING s.*, w.head, w.place, w.calls, w.policy_version),
  attempts AS (
    INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, worker_session, started_at, ended_at,
                               outcome)
    SELECT c.run_id, c.id, c.attempt, c.project_id, gen_random_uuid(), p_session, c.started_at, c.finished_at,
           'succeeded' FROM closed c)
  SELECT jsonb_agg(jsonb_build_object(
           'step_id', c.id, 'head', c.head, 'place', c.place, 'run_id', c.run_id,
           'as', jsonb_build_object('key', c.node_key, 'attempt', c.attempt)
             || CASE WHEN c.parent_id IS NULL THEN '{}' ELSE jsonb_build_object('path', c.path) END,
           'started_at', c.started_at, 'finished_at', c.finished_at)),
         (SELECT jsonb_agg(k || jsonb_build_object(
            'run_id', n.run_id, 'project_id', n.project_id, 'step_id', n.id, 'key', n.node_key, 'attempt', n.attempt,
            'policy_version', n.policy_version))
            FROM closed n, jsonb_array_elements(n.calls) k),
         jsonb_agg(c.dependents),
         jsonb_agg(c.id) FILTER (WHERE c.parent_id IS NOT NULL AND c.dependents = '{}')
    INTO v_lines, v_calls, v_next, v_last FROM closed c;
  IF v_lines IS NULL THEN
    RETURN '{"next": [], "last": [], "events": []}';
  END IF;

  SELECT jsonb_agg(line.event ORDER BY line.head, line.place, line.turn) INTO v_events FROM (
    SELECT l ->> 'head' AS head, (l ->> 'place')::int AS place, e.turn, jsonb_build_object(
             'run_id', l -> 'run_id', 'step_id', l -> 'step_id', 'kind', 'step.' || e.status,
             'data', l -> 'as' || e.data) AS event
      FROM jsonb_array_elements(v_lines) l
      CROSS JOIN LATERAL (VALUES
        (1, 'ready', jsonb_build_object('status', 'ready', 'attempt', 0, 'ready_at', l -> 'started_at')),
        (2, 'started', jsonb_build_object('status', 'running', 'started_at', l -> 'started_at')),
        (4, 'succeeded', jsonb_build_object('status', 'succeeded', 'finished_at', l -> 'finished_at')))
        AS e (turn, status, data)
    UNION ALL
    SELECT l ->> 'head', (l ->> 'place')::int, 3, c
      FROM jsonb_array_elements(engine.note_calls(v_calls)) c
      JOIN jsonb_array_elements(v_lines) l ON l -> 'step_id' = c -> 'step_id') line;
  RETURN jsonb_build_object(
    'next', (SELECT coalesce(jsonb_agg(DISTINCT d), '[]')
               FROM jsonb_array_elements(v_next) n, jsonb_array_elements(n) d),
    'last', coalesce(v_last, '[]'), 'events', v_events);
END $$;
