-- Grain: one raw answer row, with the one decision it ended in. A view: the published file holds it as a table.
{{ config(materialized = 'view') }}

select
    response_id,
    source_system,
    source_response_id,
    decision,
    {{ shown_score_text('score_text') }} as score_text,
    submitted_at,
    survey_id,
    load_id,
    loaded_at,
    source_file,
    source_line
from {{ ref('int_answers') }}
