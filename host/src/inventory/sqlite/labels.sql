-- Frozen, as the schema.

ALTER TABLE storages ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'; -- given by the operator, as JSON
