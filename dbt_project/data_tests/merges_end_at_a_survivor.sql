-- A record that survives was not merged itself: no chain was followed only half of its way.
select
    merges.merge_key,
    merges.survivor_id,
    onward.survivor_id as onward_id
from {{ ref('int_merges') }} as merges
inner join {{ ref('int_merges') }} as onward
    on merges.record_type = onward.record_type and merges.survivor_id = onward.merged_id
where onward.survivor_id <> onward.merged_id
