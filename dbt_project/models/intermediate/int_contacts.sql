-- Grain: one CRM contact, as last delivered.
with {{ latest_deliveries('contacts', ['contact_id']) }}

select {{ canonical_columns('contacts').keys() | join(', ') }}
from latest
