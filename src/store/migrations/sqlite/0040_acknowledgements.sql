-- What was said with an acknowledgement; and teams take notice of incidents, each for itself.
ALTER TABLE alert ADD COLUMN acknowledge_comment TEXT;
ALTER TABLE incident_team ADD COLUMN acknowledged_at_us INTEGER;
ALTER TABLE incident_team ADD COLUMN acknowledged_by TEXT;
ALTER TABLE incident_team ADD COLUMN acknowledge_comment TEXT;
