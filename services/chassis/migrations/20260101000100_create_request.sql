-- The answers of writes, so that a repeated request_id gets the first one.
CREATE TABLE chassis.request (
    principal text NOT NULL,
    method text NOT NULL,
    request_id uuid NOT NULL,
    hash bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, method, request_id)
);
CREATE INDEX request_create_time_idx ON chassis.request (create_time);
