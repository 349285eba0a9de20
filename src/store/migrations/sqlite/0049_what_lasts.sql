-- What may go by its time alone is found without what lasts longer, and what was read goes with its event.
DROP INDEX event_by_time;
CREATE INDEX event_passing ON event (at_us) WHERE kind NOT IN ('retention_clock', 'needs_reconnecting', 'out_of_order');
CREATE INDEX event_lasting ON event (at_us, id) WHERE kind IN ('retention_clock', 'needs_reconnecting', 'out_of_order');
DROP INDEX notice_mark_by_time;
DELETE FROM notice_mark WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.id = notice_mark.event);
CREATE INDEX notice_mark_by_event ON notice_mark (event);
