-- Grain: one answer that is not what it was when figures were published last, with the one cause; none before the
-- first publication. What the next publication adds to its log.
{{ config(post_hook = "{{ end_comparison() }}") }}
{%- set state = [
    'decision', 'load_id', 'source_line', 'survey_type', 'response_date', 'category', 'segments',
] %}
{%- set of_score %}('not_nps', 'missing_score', 'not_integer', 'out_of_range'){% endset %}
{%- set touched = touched_since_publication() %}
{%- set is_published = 'true' if published_build() else 'false' %}

with present as (
    select * from {{ ref('int_answer_states') }}
    where {{ is_published }}
),

last_publication as (
    select
        publications.definition = '{{ definition() }}' as is_same_definition,
        publications.loaded_until
    from {{ ref('stg_lake__publications') }} as publications
    where
        publications.publication_id = (
            select max(latest.publication_id) from {{ ref('stg_lake__publications') }} as latest
        )
),

logged as (
    select * from {{ ref('stg_lake__published_answers') }}
    where
        {{ is_published }}
        {%- if touched %}
        and response_id in {{ touched }}
        {%- endif %}
),

last_logged as (
    select
        response_id,
        max(publication_id) as publication_id
    from logged
    group by response_id
),

published as (
    select logged.*
    from logged
    inner join last_logged
        on logged.response_id = last_logged.response_id and logged.publication_id = last_logged.publication_id
    where logged.decision is not null
),

compared as (
    select
        coalesce(present.response_id, published.response_id) as response_id,
        present.loaded_at,
        {%- for column in state %}
        present.{{ column }},
        published.{{ column }} as published_{{ column }},
        {%- endfor %}
        coalesce(
            present.load_id <> published.load_id or present.source_line <> published.source_line, false
        ) as is_another_version
    from present
    full outer join published on present.response_id = published.response_id
    where
        {%- for column in state %}
        {{ 'or ' if not loop.first }}present.{{ column }} is distinct from published.{{ column }}
        {%- endfor %}
),

final as (
    select
        compared.response_id,
        {%- for column in state %}
        compared.{{ column }},
        compared.published_{{ column }},
        {%- endfor %}
        -- What a steward or the tool did to the answer is certain; of the rest, another definition may be the cause,
        -- and where it is the same, only the world around the answer is left.
        case
            when
                compared.published_decision is null
                and (last_publication.is_same_definition or compared.loaded_at > last_publication.loaded_until)
                then 'late_answer'
            when compared.decision = 'excluded_by_steward' and compared.published_decision <> 'excluded_by_steward'
                then 'newly_excluded'
            when compared.published_decision = 'excluded_by_steward' and compared.decision <> 'excluded_by_steward'
                then 'exclusion_lifted'
            when compared.is_another_version and compared.decision = 'withdrawn' then 'withdrawn'
            when compared.is_another_version then 'edited'
            when not last_publication.is_same_definition then 'definition_changed'
            when compared.decision is null then 'withdrawn'
            -- The same row has another score: the tool keeps values beside it, or says what they mean.
            when
                compared.category <> compared.published_category
                or compared.decision <> compared.published_decision
                and (compared.decision in {{ of_score }} or compared.published_decision in {{ of_score }})
                then 'edited'
            when
                compared.decision <> compared.published_decision
                and 'duplicate' in (compared.decision, compared.published_decision)
                then 'replaced'
            else 'account_remapped'
        end as cause
    from compared
    cross join last_publication
)

select * from final
