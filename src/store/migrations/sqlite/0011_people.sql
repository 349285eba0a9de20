-- People: the members of teams, and the invitations by which they join.

CREATE TABLE member (
    id             BLOB    PRIMARY KEY,
    team           TEXT    NOT NULL REFERENCES team (id),
    display_name   TEXT    NOT NULL,
    mail           TEXT    NOT NULL,
    -- The address as it is compared.
    mail_key       TEXT    NOT NULL,
    role           TEXT    NOT NULL,
    time_zone      TEXT    NOT NULL,
    language       TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    state_since_us INTEGER,
    persons        TEXT    NOT NULL,
    created_at_us  INTEGER NOT NULL,
    version        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX member_by_mail ON member (team, mail_key) WHERE state <> 'left';
CREATE INDEX member_by_team ON member (team, id);
CREATE INDEX member_by_address ON member (mail_key) WHERE state <> 'left';

-- A member has one link at most; the link itself is not kept.
CREATE TABLE invitation (
    member        BLOB    PRIMARY KEY REFERENCES member (id) ON DELETE CASCADE,
    hash          BLOB    NOT NULL UNIQUE,
    made_at_us    INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A password as argon2id keeps it (PHC string format).
CREATE TABLE password (
    member        BLOB    PRIMARY KEY REFERENCES member (id) ON DELETE CASCADE,
    hash          TEXT    NOT NULL,
    changed_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    id                  BLOB    PRIMARY KEY,
    member              BLOB    NOT NULL REFERENCES member (id) ON DELETE CASCADE,
    hash                BLOB    NOT NULL UNIQUE,
    created_at_us       INTEGER NOT NULL,
    seen_at_us          INTEGER NOT NULL,
    authenticated_at_us INTEGER NOT NULL,
    agent               TEXT    NOT NULL,
    origin              TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_member ON session (member, id);
CREATE INDEX session_by_beginning ON session (created_at_us);
CREATE INDEX session_by_use ON session (seen_at_us);

-- Who is told of a profile, and who administers it here.
CREATE TABLE profile (
    team         TEXT NOT NULL REFERENCES team (id),
    network      TEXT NOT NULL,
    id           TEXT NOT NULL,
    display_name TEXT NOT NULL,
    owner        BLOB,
    admins       TEXT NOT NULL,
    PRIMARY KEY (team, network, id)
) STRICT, WITHOUT ROWID;

-- A member's leaving, which goes on until it is finished.
CREATE TABLE departure (
    member         BLOB    PRIMARY KEY REFERENCES member (id) ON DELETE CASCADE,
    begun_at_us    INTEGER NOT NULL,
    finished_at_us INTEGER,
    report         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX departure_open ON departure (begun_at_us) WHERE finished_at_us IS NULL;

-- What a person agreed to and withdrew, in order; the last one holds.
CREATE TABLE consent (
    token        BLOB    NOT NULL REFERENCES token (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    at_us        INTEGER NOT NULL,
    purposes     INTEGER NOT NULL,
    withdrawn    INTEGER NOT NULL,
    text_version TEXT    NOT NULL,
    member       BLOB,
    PRIMARY KEY (token, number)
) STRICT, WITHOUT ROWID;
