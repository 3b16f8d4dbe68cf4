-- What calculated indicators are calculated from.
CREATE TABLE part (
    part_id uuid NOT NULL,
    indicator_id uuid NOT NULL,
    PRIMARY KEY (part_id, indicator_id)
);
CREATE INDEX part_indicator_idx ON part (indicator_id);

-- By how many per cent parts are supposed to do better than expected.
ALTER TABLE scenario
    ADD COLUMN moved_indicator_ids uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN moved_indicator_percents double precision[] NOT NULL DEFAULT '{}';
