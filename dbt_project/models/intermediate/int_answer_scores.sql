-- Grain: one score and category that counted answers have, with how many. The guard of the answers reads these few
-- rows, so that answers are counted where they are.
{{ config(materialized = 'view') }}

select
    score,
    category,
    count(*) as answers
from {{ ref('fct_nps_responses') }}
group by score, category
