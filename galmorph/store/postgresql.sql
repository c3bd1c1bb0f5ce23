-- Images that are inserted are queued for the models that are watched, and whoever listens hears of it.
--
--   INSERT INTO gm_images (id, content, survey, band) VALUES ('587722984', pg_read_binary_file('/data/587722984.jpg'), 'sdss', 'RGB');
--
-- is then scored by `galmorph store watch URL --checkpoint NAME`, wherever that runs:
--
--   SELECT p.class, p.confidence, p.columns::json->>'gm_rpet' AS rpet
--   FROM gm_predictions p JOIN gm_images i ON i.number = p.image WHERE i.id = '587722984';

CREATE OR REPLACE FUNCTION gm_queue_images() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gm_queue (image, model)
    SELECT added.number, m.number FROM added CROSS JOIN gm_models m WHERE m.watched
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        -- Delivered when the transaction commits, once however many rows it inserts.
        PERFORM pg_notify('galmorph', current_schema());
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS gm_images_are_queued ON gm_images;

CREATE TRIGGER gm_images_are_queued AFTER INSERT ON gm_images
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gm_queue_images();
