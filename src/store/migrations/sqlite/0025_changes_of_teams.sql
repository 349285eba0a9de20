-- What was changed in a team, without the leases, which are most of its audit: people look for a change among many.
CREATE INDEX audit_changes_by_team ON audit (team, seq) WHERE action <> 'lease.open';
