-- Lines of few units, fields, sets or plans are found without reading the board of the whole city.
CREATE INDEX assessment_unit_idx ON assessment (unit_id) WHERE item IS NOT NULL;
CREATE INDEX assessment_responsible_unit_idx ON assessment (responsible_unit_id) WHERE item IS NOT NULL;
CREATE INDEX assessment_field_idx
    ON assessment (field_code, status_rank, probability_rank, gap_rank, indicator_id, unit_id) WHERE item IS NOT NULL;
CREATE INDEX assessment_target_idx ON assessment (target_author, target_period) WHERE item IS NOT NULL;
CREATE INDEX assessment_target_period_idx ON assessment (target_period) WHERE item IS NOT NULL;
CREATE INDEX assessment_groups_idx ON assessment USING gin (groups) WHERE item IS NOT NULL AND groups <> '{}';
-- What leaders of the city open first: no figures of wards, communes and special zones.
CREATE INDEX assessment_city_idx
    ON assessment (status_rank, probability_rank, gap_rank, indicator_id, unit_id)
    WHERE item IS NOT NULL AND NOT is_local;
CREATE INDEX assessment_decisive_idx
    ON assessment (status_rank, probability_rank, gap_rank, indicator_id, unit_id)
    WHERE item IS NOT NULL AND is_decisive;
