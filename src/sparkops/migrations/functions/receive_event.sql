CREATE OR REPLACE FUNCTION engine.receive_event(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Writes down an event from outside, once however often it is sent.
-- p: {id, project_id, event_id, name, data, data_hash, created_by}. Who sends it must be a member of the project.
-- Returns {result, id, received_at}: result is `created`, `repeated` (the first one is returned), `other` (the id was
-- used for another name or other data) or `not_found` (no such project, for this person).
-- Events of one name are received one after the other, in the order of `received_at`, also for those who look.
DECLARE
  v_event received_events := jsonb_populate_record(NULL::received_events, p);
  v_first received_events;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM memberships WHERE project_id = v_event.project_id AND user_id = v_event.created_by) THEN
    RETURN '{"result": "not_found"}';
  END IF;
  PERFORM pg_advisory_xact_lock(engine.event_lock(v_event.project_id, v_event.name));
  INSERT INTO received_events (id, project_id, event_id, name, data, data_hash, created_by, received_at)
  SELECT v_event.id, v_event.project_id, v_event.event_id, v_event.name, p -> 'data', v_event.data_hash,
         v_event.created_by, greatest(clock_timestamp(), max(e.received_at) + interval '1 microsecond')
    FROM received_events e WHERE e.project_id = v_event.project_id AND e.name = v_event.name
  ON CONFLICT (project_id, event_id) DO NOTHING
  RETURNING * INTO v_first;
  IF FOUND THEN
    PERFORM engine.write_audit(v_first.project_id, 'user:' || v_first.created_by, 'event.send', 'event:' || v_first.id,
                               jsonb_build_object('event_id', v_first.event_id, 'name', v_first.name));
    RETURN jsonb_build_object('result', 'created', 'id', v_first.id, 'received_at', v_first.received_at);
  END IF;
  SELECT * INTO v_first FROM received_events WHERE project_id = v_event.project_id AND event_id = v_event.event_id;
  RETURN jsonb_build_object(
    'result', CASE WHEN v_first.name = v_event.name AND v_first.data_hash = v_event.data_hash
                   THEN 'repeated' ELSE 'other' END,
    'id', v_first.id, 'received_at', v_first.received_at);
END $$;
