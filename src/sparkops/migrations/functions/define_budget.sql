CREATE OR REPLACE FUNCTION engine.define_budget(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_BUDGET. Defines a budget, changes one, or (archive: true) gives one up. From the commit on calls are held against
-- it as it is then: windows that are going on take over its limits, and what is spent in them stays.
-- p: {id, user_id, archive, definition: {…columns}}; scope, period and zone of one that exists never change.
-- Returns {result: ok, waiting: [the steps that wait for it], queued: [projects whose runs may]}, or {result: taken}: there is one of this name.
-- Lock order: the definition, its windows by id, stamp, audit. Who makes a window holds the definition for share and
-- is waited for. Who changes a row of a window twice holds its key only, after the windows, and is not.
DECLARE
  v_new budget_definitions := jsonb_populate_record(NULL::budget_definitions, p -> 'definition');
  v_old budget_definitions;
  v_now budget_definitions;
BEGIN
  SELECT * INTO v_old FROM budget_definitions WHERE id = (p ->> 'id')::uuid FOR NO KEY UPDATE;
  IF v_old.id IS NULL THEN
    INSERT INTO budget_definitions (id, project_id, name, scope, scope_id, period, time_zone, limit_micros, limit_tokens,
                                    limit_calls, limit_runs, thresholds, admission, admission_by, created_by)
    VALUES ((p ->> 'id')::uuid, v_new.project_id, v_new.name, v_new.scope, v_new.scope_id, v_new.period, v_new.time_zone,
            v_new.limit_micros, v_new.limit_tokens, v_new.limit_calls, v_new.limit_runs, v_new.thresholds,
            v_new.admission, v_new.admission_by, (p ->> 'user_id')::uuid)
    ON CONFLICT (project_id, name) WHERE archived_at IS NULL DO NOTHING RETURNING * INTO v_now;
  ELSIF (p -> 'archive')::boolean THEN
    UPDATE budget_definitions SET archived_at = coalesce(archived_at, clock_timestamp()), updated_at = clock_timestamp()
     WHERE id = v_old.id RETURNING * INTO v_now;
  ELSE
    UPDATE budget_definitions
       SET name = v_new.name, limit_micros = v_new.limit_micros, limit_tokens = v_new.limit_tokens,
           limit_calls = v_new.limit_calls, limit_runs = v_new.limit_runs, thresholds = v_new.thresholds,
           admission = v_new.admission, admission_by = v_new.admission_by, updated_at = clock_timestamp()
     WHERE id = v_old.id AND NOT EXISTS (
       SELECT 1 FROM budget_definitions o WHERE o.name = v_new.name AND o.id <> v_old.id AND o.archived_at IS NULL
          AND o.project_id IS NOT DISTINCT FROM v_old.project_id)
    RETURNING * INTO v_now;
  END IF;
  IF v_now.id IS NULL THEN
    RETURN '{"result": "taken"}';
  END IF;

  PERFORM 1 FROM budgets WHERE definition_id = v_now.id AND (ends_at IS NULL OR ends_at > clock_timestamp())
    ORDER BY id FOR UPDATE;
  UPDATE budgets b
     SET limit_micros = v_now.limit_micros, limit_tokens = v_now.limit_tokens, limit_calls = v_now.limit_calls,
         limit_runs = v_now.limit_runs, thresholds = engine.budget_bars(v_now.thresholds),
         -- What has been let in so far was let in rightly, whatever may be let in from now on.
         top_micros = CASE WHEN v_now.limit_micros IS NOT NULL THEN greatest(
           b.top_micros, engine.budget_first_bar(v_now.limit_micros, v_now.thresholds), b.spent_micros + b.reserved_micros) END,
         top_tokens = CASE WHEN v_now.limit_tokens IS NOT NULL THEN greatest(
           b.top_tokens, engine.budget_first_bar(v_now.limit_tokens, v_now.thresholds), b.spent_tokens + b.reserved_tokens) END,
         top_calls = CASE WHEN v_now.limit_calls IS NOT NULL THEN greatest(
           b.top_calls, engine.budget_first_bar(v_now.limit_calls, v_now.thresholds), b.calls) END,
         top_runs = CASE WHEN v_now.limit_runs IS NOT NULL THEN greatest(
           b.top_runs, engine.budget_first_bar(v_now.limit_runs, v_now.thresholds), b.runs) END,
         changed_at = clock_timestamp()
   WHERE b.definition_id = v_now.id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp());
  PERFORM engine.rules_changed(coalesce(v_now.project_id, '00000000-0000-0000-0000-000000000000'));
  PERFORM engine.write_audit(
    v_now.project_id, 'user:' || (p ->> 'user_id'),
    CASE WHEN v_old.id IS NULL THEN 'budget.define' WHEN (p -> 'archive')::boolean THEN 'budget.archive'
         ELSE 'budget.change' END,
    'budget:' || v_now.id, '{}', CASE WHEN v_old.id IS NOT NULL THEN to_jsonb(v_old) END, to_jsonb(v_now));
  RETURN jsonb_build_object('result', 'ok', 'waiting', coalesce((
    SELECT jsonb_agg(s.id) FROM steps s
     WHERE s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'budget'
       AND s.waiting_for ->> 'budget_id' = v_now.id::text), '[]'), 'queued', coalesce((
    SELECT jsonb_agg(DISTINCT r.project_id) FROM runs r
     WHERE r.status = 'queued' AND r.uncounted AND v_old.limit_runs IS NOT NULL
       AND r.project_id = coalesce(v_now.project_id, r.project_id)), '[]'));
END $$;
