-- Since when a destination's receiver says that it is not there any more: nothing is sent to it until somebody changes or tries it.

ALTER TABLE destination ADD COLUMN gone_since_us INTEGER;
