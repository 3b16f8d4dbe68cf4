-- Of how many plans, decided since, `stated` speaks: each is spoken of after every figure.
ALTER TABLE accuracy ADD COLUMN plans integer NOT NULL DEFAULT 0;
