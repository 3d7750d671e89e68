-- Grain: one delivered row that says whom it is about by name, of any table of any source.
{%- set string = dbt.type_string() %}
{%- set people = [] %}
{%- for table, contents in var('raw_tables').items() %}
{%- for person in contents.people %}
{%- do people.append({'source': table.split('.'), 'of': person}) %}
{%- endfor %}
{%- endfor %}

{%- for person in people %}
select
    nullif(trim({{ replace_matches(plain_text(name_of_parts(person.of.names)), '\\s+', ' ') }}), '') as person_name,
    {{ normalised_email(adapter.quote(person.of.email)) if person.of.email else 'cast(null as ' ~ string ~ ')' }}
        as contact_email,
    _load_id as load_id
from {{ source(person.source[0], person.source[1]) }}
where _source_system = '{{ person.of.source }}'
{{ 'union all' if not loop.last }}
{%- else %}
select
    cast(null as {{ string }}) as person_name,
    cast(null as {{ string }}) as contact_email,
    cast(null as {{ string }}) as load_id
where 1 = 0
{%- endfor %}
