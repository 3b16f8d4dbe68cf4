-- What is not on the board though its unit exists again is found without reading what is.
CREATE INDEX assessment_unlisted_idx ON assessment (unit_id) WHERE item IS NULL;
