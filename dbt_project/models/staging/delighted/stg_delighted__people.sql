-- Grain: one delivered row of a person.
with source as (
    select * from {{ source('delighted', 'people') }}
),

renamed as (
    select
        _source_system as source_system,
        id as source_contact_id,
        {{ normalised_email('email') }} as contact_email,
        cast(null as {{ dbt.type_string() }}) as external_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
