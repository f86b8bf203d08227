CREATE OR REPLACE FUNCTION engine.frame_view(p_parent uuid, p_no bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
-- What the steps of one frame see of the frames around them: {item, index} of the nearest map, {iteration, previous} of
-- the nearest loop; NULL outside of any frame.
DECLARE
  v_step steps;
  v_parent uuid := p_parent;
  v_no bigint := p_no;
  v_value jsonb;
  v_view jsonb;
BEGIN
  WHILE v_parent IS NOT NULL LOOP
    SELECT s.* INTO v_step FROM steps s WHERE s.id = v_parent;
    SELECT f.value INTO v_value FROM frames f WHERE f.parent_id = v_parent AND f.frame_no = v_no;
    v_view := CASE v_step.type WHEN 'map' THEN jsonb_build_object('item', v_value, 'index', v_no)
                               ELSE jsonb_build_object('previous', v_value, 'iteration', v_no) END
              || coalesce(v_view, '{}');
    v_parent := v_step.parent_id;
    v_no := v_step.frame_no;
  END LOOP;
  RETURN v_view;
END $$;
