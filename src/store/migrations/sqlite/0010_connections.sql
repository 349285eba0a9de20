-- Tries to connect an account. Links, browsers and states are keyed hashes; what is sealed waits between two steps only: the verifier of
-- PKCE while a person is at the network, the tokens until it is said which profiles are meant.

CREATE TABLE connection (
    id            BLOB    PRIMARY KEY,
    team          TEXT    NOT NULL REFERENCES team (id),
    network       TEXT    NOT NULL,
    app           TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    purposes      INTEGER NOT NULL,
    scopes        TEXT    NOT NULL,
    member        TEXT    NOT NULL,
    token         BLOB,
    other_account INTEGER NOT NULL,
    return_url    TEXT,
    stage         TEXT    NOT NULL,
    stage_at_us   INTEGER,
    found         TEXT,
    tokens        TEXT    NOT NULL,
    problem       TEXT,
    link_hash     BLOB    NOT NULL UNIQUE,
    browser_hash  BLOB,
    state_hash    BLOB    UNIQUE,
    sealed        BLOB,
    version       INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    ends_at_us    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX connection_by_team ON connection (team, id);
CREATE INDEX connection_by_end ON connection (ends_at_us) WHERE stage NOT IN ('connected', 'cancelled', 'lapsed');
CREATE INDEX connection_over ON connection (stage_at_us) WHERE stage IN ('connected', 'cancelled', 'lapsed');
CREATE INDEX connection_sealed ON connection (team) WHERE sealed IS NOT NULL;

-- Keyed hashes of the refresh tokens that were given to the broker, so that one that it has used since is not taken again. Those that
-- networks gave it never leave it.
CREATE TABLE given_refresh (
    token       BLOB    NOT NULL REFERENCES token (id) ON DELETE CASCADE,
    hash        BLOB    NOT NULL,
    given_at_us INTEGER NOT NULL,
    PRIMARY KEY (token, hash)
) STRICT, WITHOUT ROWID;
