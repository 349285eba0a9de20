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
