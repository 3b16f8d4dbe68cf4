-- A returned answer is often mended with the same documents: one document may be part of several answers of its request.
CREATE TABLE entry_attachment (
    entry_id uuid NOT NULL REFERENCES thread_entry (id),
    attachment_id uuid NOT NULL REFERENCES attachment (id),
    PRIMARY KEY (entry_id, attachment_id)
);
INSERT INTO entry_attachment (entry_id, attachment_id)
SELECT entry_id, id FROM attachment WHERE entry_id IS NOT NULL;

-- true once an answer holds it: such a document is never deleted
ALTER TABLE attachment ADD COLUMN is_used boolean NOT NULL DEFAULT false;
UPDATE attachment SET is_used = true WHERE entry_id IS NOT NULL;
DROP INDEX attachment_entry_idx;
DROP INDEX attachment_unused_idx;
ALTER TABLE attachment DROP COLUMN entry_id;
CREATE INDEX attachment_explanation_idx ON attachment (explanation_id);
CREATE INDEX attachment_unused_idx ON attachment (create_time) WHERE NOT is_used;
