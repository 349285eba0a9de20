-- Certificates in place of keys, names and ends of keys, who granted a token, apps and their budgets.

ALTER TABLE token ADD COLUMN granted_by TEXT NOT NULL DEFAULT '';

ALTER TABLE collector ADD COLUMN certificates TEXT NOT NULL DEFAULT '[]';

-- A key that is a certificate has an empty hash.
ALTER TABLE key ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE key ADD COLUMN certificate TEXT;
ALTER TABLE key ADD COLUMN expires_at_us INTEGER;

CREATE TABLE app (
    network        TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    display_name   TEXT    NOT NULL,
    client_id      TEXT    NOT NULL,
    facts          TEXT    NOT NULL,
    sealed_secret  BLOB,
    secret_version INTEGER NOT NULL,
    created_at_us  INTEGER NOT NULL,
    PRIMARY KEY (network, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE budget (
    network         TEXT    NOT NULL,
    app             TEXT    NOT NULL,
    class           TEXT    NOT NULL,
    total           INTEGER NOT NULL CHECK (total >= 0),
    topped_up_at_us INTEGER NOT NULL,
    PRIMARY KEY (network, app, class),
    FOREIGN KEY (network, app) REFERENCES app (network, id)
) STRICT, WITHOUT ROWID;
