-- By whom a member is known at an OpenID Connect provider: the issuer's own id of the person. A member has one; a person may be a member of
-- several teams.

CREATE TABLE identity (
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    member      BLOB    NOT NULL UNIQUE REFERENCES member (id),
    bound_at_us INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject, member)
) STRICT, WITHOUT ROWID;
