-- A colour once given is kept until the probability is this far beyond its threshold.
ALTER TABLE threshold ADD COLUMN margin double precision NOT NULL DEFAULT 0.02;
ALTER TABLE threshold ALTER COLUMN margin DROP DEFAULT;
ALTER TABLE threshold ADD CHECK (0 <= margin AND margin < red_below AND margin < 1 - green_above);
