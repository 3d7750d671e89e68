-- Grain: one raw answer row with the one decision it ends in.
{{ config(materialized = 'view') }}

{{ with_final_decision(ref('int_delivered_answers')) }}
