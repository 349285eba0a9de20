-- What networks asked for in a person's name. Requests and confirmation codes are keyed hashes; the person is forgotten once it is done.

CREATE TABLE callback (
    hash           BLOB    PRIMARY KEY,
    code_hash      BLOB    NOT NULL UNIQUE,
    network        TEXT    NOT NULL,
    app            TEXT    NOT NULL,
    person         TEXT    NOT NULL,
    deletes        INTEGER NOT NULL,
    received_at_us INTEGER NOT NULL,
    done_at_us     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX callback_done ON callback (done_at_us, received_at_us);
-- The tokens of a person at a network.
CREATE INDEX token_by_person ON token (network, app, person) WHERE state <> 'revoked';
