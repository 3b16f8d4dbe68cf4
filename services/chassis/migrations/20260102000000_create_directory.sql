-- What this service knows of units, roles, principals, grants, ended sessions and signing keys, so that it starts
-- and serves while identity is away.
CREATE TABLE chassis.directory_entry (
    -- "unit", "role", "principal", "grant", "session" or "keys"
    kind text NOT NULL,
    key text NOT NULL,
    -- the message of identity's contract, encoded
    data bytea NOT NULL,
    -- when the entry is of no more use and may be deleted; null for what stays
    end_time timestamptz,
    PRIMARY KEY (kind, key)
);

-- How far identity's feed is contained in the entries; one row.
CREATE TABLE chassis.directory_cursor (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    cursor text NOT NULL
);
