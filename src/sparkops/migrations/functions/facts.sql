CREATE OR REPLACE FUNCTION engine.facts(p jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
-- What the database knows of what rules ask about: only what is wanted is looked up, and only that is returned.
-- p: {wanted: [names of facts], run_id, step_id, seqs: [the calls of this step that are being judged], project_id,
-- user_id, key_id, parent_run_id, workflow_version_id, trigger}. The last six are given where the run does not exist yet,
-- run_id where it does; what a run has called is what it has sent, so that copies of another run's calls do not count.
-- `turn.sent` are those of `seqs` that have been sent, in the order in which they were: [{seq, seconds since then}].
-- Returns {name: value}. What is not wanted from `principal.*`, `project`, `trigger`, `workflow.version`, `run.*`,
-- `forecast.*`, `tree.*`, `time.*`, `history.*`, `turn.sent` costs nothing. `run.limit_micros` and `run.held_micros` are of
-- a run that there is.
DECLARE
  v_wanted text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'wanted'));
  v_run uuid := (p ->> 'run_id')::uuid;
  v_project uuid := (p ->> 'project_id')::uuid;
  v_user uuid := (p ->> 'user_id')::uuid;
  v_key uuid;
  v_root uuid;
  v_version uuid := (p ->> 'workflow_version_id')::uuid;
  v_trigger text := p ->> 'trigger';
  v_facts jsonb := '{}';
BEGIN
  IF v_run IS NOT NULL THEN
    SELECT r.project_id, r.created_by, coalesce(r.lineage[1], r.id), r.workflow_version_id, r.trigger, r.created_by_key
      INTO v_project, v_user, v_root, v_version, v_trigger, v_key FROM runs r WHERE r.id = v_run;
  ELSE
    SELECT coalesce(r.lineage[1], r.id), r.created_by_key INTO v_root, v_key
      FROM runs r WHERE r.id = (p ->> 'parent_run_id')::uuid;
    IF NOT FOUND THEN
      v_key := (p ->> 'key_id')::uuid;
    END IF;
  END IF;
  v_facts := jsonb_build_object('trigger', v_trigger);
  IF v_wanted && '{principal.id,principal.email,principal.role,principal.kind}' THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object(
               'principal.id', coalesce(v_user::text, ''), 'principal.email', coalesce(u.email, ''),
               'principal.role', coalesce(m.role, ''),
               'principal.kind', CASE WHEN u.kind IS DISTINCT FROM 'person' THEN 'service'
                                      WHEN v_key IS NOT NULL THEN 'key' ELSE 'user' END)
        FROM (SELECT v_user AS id) w
        LEFT JOIN users u ON u.id = w.id
        LEFT JOIN memberships m ON m.user_id = w.id AND m.project_id = v_project);
  END IF;
  IF v_wanted && '{project,time.hour,time.minute,time.weekday,time.date}' THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object(
               'project', j.slug, 'time.hour', extract(hour FROM j.there)::int,
               'time.minute', extract(minute FROM j.there)::int, 'time.weekday', extract(isodow FROM j.there)::int,
               'time.date', to_char(j.there, 'YYYY-MM-DD'))
        FROM (SELECT slug, clock_timestamp() AT TIME ZONE time_zone AS there FROM projects WHERE id = v_project) j);
  END IF;
  IF 'workflow.version' = ANY (v_wanted) THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('workflow.version', version) FROM workflow_versions WHERE id = v_version);
  END IF;
  IF v_wanted && '{forecast.median_micros,forecast.p95_micros,forecast.runs}' THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('forecast.runs', f.runs, 'forecast.median_micros', coalesce(f.median, 0),
                                'forecast.p95_micros', coalesce(f.p95, 0))
        FROM engine.run_forecast(v_version) f);
  END IF;
  IF v_wanted && '{run.limit_micros,run.held_micros}' THEN
    v_facts := v_facts || coalesce((
      SELECT jsonb_build_object('run.limit_micros', limit_micros, 'run.held_micros', reserved_micros)
        FROM budgets WHERE definition_id IS NULL AND scope_id = v_run), '{}');
  END IF;
  IF v_wanted && '{run.cost_micros,tree.cost_micros}' THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object(
               'run.cost_micros', coalesce(sum(spent_micros) FILTER (WHERE scope_id = v_run), 0),
               'tree.cost_micros', coalesce(sum(spent_micros) FILTER (WHERE scope_id = v_root), 0))
        FROM budgets WHERE definition_id IS NULL AND scope_id IN (v_run, v_root));
  END IF;
  IF v_wanted && '{run.tokens,run.calls}' THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('run.calls', count(*), 'run.tokens', coalesce(sum(engine.tokens_of(c.usage)), 0))
        FROM calls c
       WHERE c.run_id = v_run AND c.sends > 0
         AND NOT (c.step_id = (p ->> 'step_id')::uuid AND p -> 'seqs' @> to_jsonb(c.seq)));
  END IF;
  IF 'tree.tokens' = ANY (v_wanted) THEN
    v_facts := v_facts || (
      WITH RECURSIVE tree (id) AS (
        SELECT v_root UNION ALL SELECT r.id FROM tree t JOIN runs r ON r.parent_run_id = t.id)
      SELECT jsonb_build_object('tree.tokens', coalesce(sum(engine.tokens_of(c.usage)), 0))
        FROM tree t JOIN calls c ON c.run_id = t.id AND c.usage IS NOT NULL AND c.sends > 0);
  END IF;
  IF 'history.tools' = ANY (v_wanted) THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('history.tools', coalesce(jsonb_object_agg(
               u.name, jsonb_build_object('count', u.many, 'last_seconds', u.since)), '{}'))
        FROM (
          SELECT c.name, count(*) AS many,
                 greatest(extract(epoch FROM clock_timestamp() - max(coalesce(c.prepared_at, c.proposed_at)))::int, 0)
                   AS since
            FROM calls c
           WHERE c.run_id = v_run AND c.kind = 'tool' AND c.sends > 0
             AND NOT (c.step_id = (p ->> 'step_id')::uuid AND p -> 'seqs' @> to_jsonb(c.seq))
           GROUP BY c.name) u);
  END IF;
  IF 'turn.sent' = ANY (v_wanted) THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('turn.sent', coalesce(jsonb_agg(jsonb_build_object('seq', s.seq, 'seconds', s.since)
                                                        ORDER BY s.at, s.seq), '[]'))
        FROM (SELECT c.seq, c.prepared_at AS at,
                     greatest(extract(epoch FROM clock_timestamp() - c.prepared_at)::int, 0) AS since
                FROM calls c
               WHERE c.run_id = v_run AND c.step_id = (p ->> 'step_id')::uuid AND c.sends > 0
                 AND p -> 'seqs' @> to_jsonb(c.seq)) s);
  END IF;
  IF 'history.labels' = ANY (v_wanted) THEN
    v_facts := v_facts || (
      SELECT jsonb_build_object('history.labels', coalesce(jsonb_agg(DISTINCT l ORDER BY l), '[]'))
        FROM (SELECT unnest(labels) FROM runs WHERE id = v_run
              UNION ALL SELECT unnest(labels) FROM steps WHERE run_id = v_run AND labels <> '{}'
              UNION ALL SELECT unnest(labels) FROM calls WHERE run_id = v_run AND labels <> '{}') AS seen (l));
  END IF;
  RETURN (SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(v_facts) f
           WHERE f.key = ANY (v_wanted));
END $$;
