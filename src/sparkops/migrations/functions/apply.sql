CREATE OR REPLACE FUNCTION engine.apply(p_run uuid, p_commands jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Applies what `engine/decide.py` decided for one run, whose lock the caller holds.
-- p_commands: [{op: ready | skip | succeed | fail, key: its path, output, error, reason, reads, labels} or {op: finish |
-- attention | resume | await, status, output, error}]. reads: the keys of the steps that a step which becomes ready reads;
-- missing: all it names. labels: those of the output, missing where the row has them. A step that is not pending any
-- more is left alone, so that repeating changes nothing.
-- Returns {ready: [step ids], parents: [the step that waits for the run, if it has ended], events}.
DECLARE
  v_ready jsonb;
  v_events jsonb;
  v_run jsonb;
  v_parents jsonb;
BEGIN
  WITH command AS (
    SELECT c.*, CASE c.op WHEN 'ready' THEN 'ready' WHEN 'skip' THEN 'skipped' WHEN 'succeed' THEN 'succeeded'
                          ELSE 'failed' END AS status, row_number() OVER () AS n
      FROM jsonb_to_recordset(p_commands) AS c (op text, key text, output jsonb, error jsonb, reason text,
                                              reads jsonb, labels text[])
     WHERE c.op IN ('ready', 'skip', 'succeed', 'fail')),
  changed AS (
    UPDATE steps s
       SET status = c.status, output = nullif(c.output, 'null'), error = nullif(c.error, 'null'),
           not_before = clock_timestamp(), labels = coalesce(c.labels, s.labels),
           reads = CASE WHEN c.reads IS NULL THEN s.reads ELSE ARRAY(
             SELECT n.id FROM steps n WHERE n.id = ANY (s.reads) AND c.reads ? n.node_key) END,
           ready_at = CASE WHEN c.op = 'ready' THEN clock_timestamp() END,
           fails_at = CASE WHEN c.op = 'ready' THEN clock_timestamp() + s.deadline END,
           started_at = CASE WHEN c.op IN ('succeed', 'fail') THEN clock_timestamp() END,
           finished_at = CASE WHEN c.op <> 'ready' THEN clock_timestamp() END
      FROM command c WHERE s.run_id = p_run AND s.path = c.key AND s.status = 'pending'
    RETURNING s.*)
  SELECT jsonb_agg(s.id ORDER BY s.position) FILTER (WHERE s.status = 'ready'),
         jsonb_agg(engine.step_event(s, 'step.' || s.status, jsonb_strip_nulls(jsonb_build_object(
           'reason', c.reason, 'error', s.error, 'ready_at', s.ready_at, 'started_at', s.started_at,
           'finished_at', s.finished_at))) ORDER BY c.n)
    INTO v_ready, v_events FROM changed s JOIN command c ON c.key = s.path;

  WITH command AS (
    SELECT c.*, CASE c.op WHEN 'attention' THEN 'attention' WHEN 'resume' THEN 'running'
                          WHEN 'await' THEN 'awaiting_approval' ELSE c.status END AS target
      FROM jsonb_to_recordset(p_commands) AS c (op text, status text, output jsonb, error jsonb)
     WHERE c.op IN ('finish', 'attention', 'resume', 'await')),
  changed AS (
    UPDATE runs r
       SET status = c.target, output = nullif(c.output, 'null'), error = coalesce(nullif(c.error, 'null'), r.error),
           finished_at = CASE WHEN c.op = 'finish' THEN clock_timestamp() END
      FROM command c WHERE r.id = p_run AND r.finished_at IS NULL AND r.status <> c.target
    RETURNING r.*)
  SELECT jsonb_agg(jsonb_build_object('run_id', r.id, 'kind', 'run.' || r.status, 'data', jsonb_strip_nulls(
           jsonb_build_object('status', r.status, 'error', r.error, 'finished_at', r.finished_at)))),
         jsonb_agg(r.parent_step_id) FILTER (WHERE r.finished_at IS NOT NULL AND r.parent_step_id IS NOT NULL)
    INTO v_run, v_parents FROM changed r;
  RETURN jsonb_build_object('ready', coalesce(v_ready, '[]'), 'parents', coalesce(v_parents, '[]'),
                            'events', coalesce(v_events, '[]') || coalesce(v_run, '[]'));
END $$;
