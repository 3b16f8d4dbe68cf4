-- The unit tree with its history.
CREATE TABLE unit (
    id uuid PRIMARY KEY,
    key text NOT NULL CONSTRAINT unit_key_unique UNIQUE,
    code text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('country', 'city', 'department', 'district', 'ward', 'commune', 'special_zone')),
    name_vi text NOT NULL,
    name_en text NOT NULL,
    -- both names and the code in lower case without marks
    search text NOT NULL,
    parent_id uuid REFERENCES unit (id),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to >= valid_from),
    field_codes text[] NOT NULL,
    longitude double precision NOT NULL,
    latitude double precision NOT NULL
);
CREATE INDEX unit_listing ON unit (kind, code, id);

CREATE TABLE unit_change (
    date date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('merge', 'split', 'rename', 'abolish')),
    from_key text NOT NULL,
    -- empty when the unit was abolished
    to_key text NOT NULL,
    weight numeric NOT NULL CHECK (weight BETWEEN 0 AND 1),
    basis text NOT NULL,
    quality text NOT NULL,
    PRIMARY KEY (from_key, date, to_key)
);
CREATE INDEX unit_change_to ON unit_change (to_key);

CREATE TABLE role (
    code text PRIMARY KEY,
    name_vi text NOT NULL,
    name_en text NOT NULL,
    permissions text[] NOT NULL,
    -- roles that its holder may give to others besides those whose permissions the holder has
    may_grant text[] NOT NULL DEFAULT '{}'
);

-- People who sign in.
CREATE TABLE account (
    id uuid PRIMARY KEY,
    login text NOT NULL CONSTRAINT account_login_unique UNIQUE,
    display_name text NOT NULL,
    home_unit_id uuid NOT NULL REFERENCES unit (id),
    language text NOT NULL CHECK (language IN ('vi', 'en')),
    email text NOT NULL,
    phone text NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    password_hash text NOT NULL,
    -- somebody else knows the password
    must_change_password boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_home_unit ON account (home_unit_id);

-- Programs: services of the mesh and integrators (with a secret), and what people sign in through.
CREATE TABLE client (
    id text PRIMARY KEY,
    display_name text NOT NULL,
    -- SHA-256 of a secret of at least 128 random bits; none for public clients and those not let in yet
    secret_hash bytea,
    -- lets people sign in with a code sent to these addresses; "{public_url}" stands for the mesh's own
    redirect_uris text[] NOT NULL DEFAULT '{}',
    -- may call as itself
    is_service boolean NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE role_grant (
    id uuid PRIMARY KEY,
    -- an account's id or a client's
    principal_id text NOT NULL,
    role text NOT NULL REFERENCES role (code),
    -- the nil UUID covers everything; only services hold it
    unit_id uuid NOT NULL,
    field_codes text[] NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    revoke_time timestamptz,
    delegator_id text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX role_grant_principal ON role_grant (principal_id);
CREATE INDEX role_grant_unit ON role_grant (unit_id);

-- Ed25519 keys that tokens are signed with; the newest that others had time to learn signs, all verify.
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    seed bytea NOT NULL CHECK (length(seed) = 32),
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE session (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account (id),
    client_id text NOT NULL REFERENCES client (id),
    auth_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    revoke_time timestamptz
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expire_time ON session (expire_time);

CREATE TABLE authorization_code (
    hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    nonce text NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time timestamptz
);
CREATE INDEX authorization_code_session ON authorization_code (session_id);

CREATE TABLE refresh_token (
    hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- a public client uses each once
    use_time timestamptz
);
CREATE INDEX refresh_token_session ON refresh_token (session_id);

-- What guessing has used up, by login and address, by address and by login; each row is full again at its time. Rows
-- "known ..." are addresses from which a login signed in.
CREATE TABLE sign_in_limit (
    key text PRIMARY KEY,
    full_time timestamptz NOT NULL
);
CREATE INDEX sign_in_limit_full_time ON sign_in_limit (full_time);

-- Every fact of the mesh, in the order in which identity heard of it, each hash covering the one before.
CREATE TABLE audit_entry (
    number bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    source text NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    actor text NOT NULL,
    trace_id text NOT NULL,
    time timestamptz NOT NULL,
    unit_ids uuid[] NOT NULL,
    -- SHA-256 of the fact itself, which stays with its service
    data_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_entry_event_unique UNIQUE (source, event_id)
);
CREATE INDEX audit_entry_actor ON audit_entry (actor, number);
CREATE INDEX audit_entry_subject ON audit_entry (subject, number);
CREATE INDEX audit_entry_source ON audit_entry (source, number);
CREATE INDEX audit_entry_unit ON audit_entry USING gin (unit_ids);

-- The last entry; one row, locked by whoever appends.
CREATE TABLE audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT '\x'
);
INSERT INTO audit_head DEFAULT VALUES;
