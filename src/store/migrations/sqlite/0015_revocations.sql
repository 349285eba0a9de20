-- Tokens that are to be given back at their networks. Their secrets are sealed with the broker's own keys, and wiped out once it is over.

CREATE TABLE revocation (
    token          BLOB    PRIMARY KEY,
    team           TEXT    NOT NULL,
    network        TEXT    NOT NULL,
    app            TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    person         TEXT    NOT NULL,
    sealed_access  BLOB,
    sealed_refresh BLOB,
    asked_at_us    INTEGER NOT NULL,
    due_at_us      INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    standing       TEXT    NOT NULL,
    message        TEXT    NOT NULL,
    ended_at_us    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_due ON revocation (due_at_us) WHERE standing = 'pending';
CREATE INDEX revocation_ended ON revocation (ended_at_us) WHERE ended_at_us IS NOT NULL;
