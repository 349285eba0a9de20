-- Times are microseconds since 1970-01-01T00:00:00Z, ids are 16 bytes, lists and maps are JSON.

CREATE TABLE team (
    id              TEXT    PRIMARY KEY,
    display_name    TEXT    NOT NULL,
    weight          INTEGER NOT NULL,
    reserve_percent INTEGER,
    created_at_us   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE collector (
    id            BLOB    PRIMARY KEY,
    team          TEXT    NOT NULL REFERENCES team (id),
    display_name  TEXT    NOT NULL,
    networks      TEXT    NOT NULL,
    all_networks  INTEGER NOT NULL,
    purposes      INTEGER NOT NULL,
    max_leases    INTEGER NOT NULL,
    weight        INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX collector_by_team ON collector (team, id);

-- A key of a collector has team and collector; a key of an operator has role.
CREATE TABLE key (
    id            BLOB    PRIMARY KEY,
    team          TEXT,
    collector     BLOB,
    role          TEXT,
    hash          BLOB    NOT NULL,
    created_at_us INTEGER NOT NULL,
    revoked_at_us INTEGER,
    CHECK ((role IS NULL) = (collector IS NOT NULL AND team IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX key_by_collector ON key (collector, id);

CREATE TABLE data_key (
    team          TEXT    NOT NULL REFERENCES team (id),
    id            INTEGER NOT NULL,
    wrapped       BLOB    NOT NULL,
    created_at_us INTEGER NOT NULL,
    PRIMARY KEY (team, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id                        BLOB    PRIMARY KEY,
    team                      TEXT    NOT NULL REFERENCES team (id),
    network                   TEXT    NOT NULL,
    app                       TEXT    NOT NULL,
    kind                      TEXT    NOT NULL,
    person                    TEXT    NOT NULL,
    profiles                  TEXT    NOT NULL,
    label                     TEXT    NOT NULL,
    scopes                    TEXT    NOT NULL,
    purposes                  INTEGER NOT NULL,
    facts                     TEXT    NOT NULL,
    reserve_percent           INTEGER,
    max_leases                INTEGER,
    state                     TEXT    NOT NULL,
    reason                    TEXT,
    state_since_us            INTEGER,
    access_expires_at_us      INTEGER,
    refresh_expires_at_us     INTEGER,
    data_access_expires_at_us INTEGER,
    consented_at_us           INTEGER,
    ends_at_us                INTEGER,
    cooling_until_us          INTEGER,
    created_at_us             INTEGER NOT NULL,
    version                   INTEGER NOT NULL,
    sealed_access             BLOB    NOT NULL,
    sealed_refresh            BLOB,
    identity                  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
-- One grant has one token; a revoked one never lives again and makes room.
CREATE UNIQUE INDEX token_by_identity ON token (identity) WHERE state <> 'revoked';
CREATE INDEX token_by_team ON token (team, id);

CREATE TABLE token_profile (
    profile TEXT NOT NULL,
    token   BLOB NOT NULL REFERENCES token (id) ON DELETE CASCADE,
    PRIMARY KEY (token, profile)
) STRICT, WITHOUT ROWID;

CREATE TABLE import (
    id            TEXT    PRIMARY KEY,
    last_row      INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket (
    key                TEXT    PRIMARY KEY,
    cap                INTEGER NOT NULL DEFAULT 0,
    cooling_until_us   INTEGER,
    learned_limit      INTEGER,
    window_ends_at_us  INTEGER
) STRICT, WITHOUT ROWID;

-- Blocks name their bucket without a foreign key: the hot path writes both, the doctor compares them.
CREATE TABLE block (
    id               BLOB    PRIMARY KEY,
    bucket           TEXT    NOT NULL,
    amount           INTEGER NOT NULL CHECK (amount >= 0),
    taken_at_us      INTEGER NOT NULL,
    charged_until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX block_by_bucket ON block (bucket, charged_until_us, amount);
CREATE INDEX block_by_charge ON block (charged_until_us);
CREATE INDEX block_empty ON block (amount) WHERE amount = 0;

CREATE TABLE opened_key (
    bucket           TEXT    NOT NULL,
    key              TEXT    NOT NULL,
    charged_until_us INTEGER NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX opened_key_by_charge ON opened_key (charged_until_us);

-- Leases outlive tokens and collectors in the books, hence no foreign keys.
CREATE TABLE lease (
    id            BLOB    PRIMARY KEY,
    team          TEXT    NOT NULL,
    collector     BLOB,
    network       TEXT    NOT NULL,
    token         BLOB    NOT NULL,
    operation     TEXT    NOT NULL,
    purpose       TEXT    NOT NULL,
    collection    TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    calls         INTEGER NOT NULL,
    opened_at_us  INTEGER NOT NULL,
    use_by_us     INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    used          INTEGER NOT NULL DEFAULT 0,
    closed_at_us  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_open ON lease (expires_at_us) WHERE state = 'open';
CREATE INDEX lease_closed ON lease (closed_at_us) WHERE state <> 'open';

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB    NOT NULL,
    at_us   INTEGER NOT NULL,
    actor   BLOB,
    role    TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    team    TEXT,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_team ON audit (team, seq);

CREATE TABLE alert (
    id                 BLOB    PRIMARY KEY,
    dedup_key          TEXT    NOT NULL,
    kind               TEXT    NOT NULL,
    team               TEXT    NOT NULL,
    network            TEXT,
    class              TEXT,
    level              TEXT    NOT NULL,
    message            TEXT    NOT NULL,
    opened_at_us       INTEGER NOT NULL,
    cleared_at_us      INTEGER,
    acknowledged_at_us INTEGER,
    acknowledged_by    TEXT,
    detail_json        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alert_open ON alert (dedup_key) WHERE cleared_at_us IS NULL;
CREATE INDEX alert_by_team ON alert (team, id);
CREATE INDEX alert_cleared ON alert (cleared_at_us) WHERE cleared_at_us IS NOT NULL;

CREATE TABLE outbox (
    id          BLOB    PRIMARY KEY,
    destination TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    payload     BLOB    NOT NULL,
    dedup_key   TEXT    NOT NULL UNIQUE,
    due_at_us   INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    last_error  TEXT,
    state       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due_at_us) WHERE state = 'pending';
CREATE INDEX outbox_by_state ON outbox (state, id);

CREATE TABLE request (
    scope         TEXT    NOT NULL,
    request_id    TEXT    NOT NULL,
    content_hash  BLOB    NOT NULL,
    response      BLOB    NOT NULL,
    made_at_us    INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    PRIMARY KEY (scope, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_by_expiry ON request (expires_at_us);

-- An empty text or blob stands for none, since a missing value never equals another in a primary key.
CREATE TABLE usage (
    day        INTEGER NOT NULL,
    token      BLOB    NOT NULL,
    collection TEXT    NOT NULL,
    collector  BLOB    NOT NULL,
    network    TEXT    NOT NULL,
    class      TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    calls      INTEGER NOT NULL,
    credits    INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    throttled  INTEGER NOT NULL,
    PRIMARY KEY (token, day, collection, collector, class, network, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_day ON usage (day);
