-- Grain: one person who asked a help desk for something, as last delivered.
with {{ latest_deliveries('requesters', ['source_system', 'source_contact_id']) }}

select
    source_system,
    source_contact_id,
    contact_email,
    source_account_id
from latest
