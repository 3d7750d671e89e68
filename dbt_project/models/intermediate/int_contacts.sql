-- Grain: one CRM contact, as last delivered.
with delivered as (
    {{ union_staging('contacts') }}
)

{{ latest_delivery('delivered', 'contacts', ['contact_id']) }}
