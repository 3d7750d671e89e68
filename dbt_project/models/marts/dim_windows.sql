-- Grain: one row: where the windows stand that move with the data.
select
    last_date as last_day,
    {{ add_days('last_date', 1 - var('account_window_days')) }} as account_window_start,
    {{ add_days('last_date', 1 - var('trailing_window_days')) }} as trailing_window_start
from {{ ref('int_last_day') }}
