-- A record that survives was not merged itself: no chain was followed only half of its way.
select
    earlier.merge_key,
    earlier.survivor_id,
    later.survivor_id as later_survivor_id
from {{ ref('int_merges') }} as earlier
inner join {{ ref('int_merges') }} as later
    on earlier.record_type = later.record_type and earlier.survivor_id = later.merged_id
where later.survivor_id <> later.merged_id
