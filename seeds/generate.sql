-- The sample company, from the inside out: its accounts and people, whom it asked, who answered, and only then
-- what goes wrong on the way into the exports. `truth` is read from what was planted, never from the exports.
-- generate.py sets the variables seed, answers, invitations_per_answer and the paths of the CSV files read here.

-- Joins are written with the small table on the right; the planner, misled by `unnest`, would hash the invitations.
set disabled_optimizers = 'join_order,build_side_probe_side';

-- Sizes and the two ends of the story, in epoch seconds like every `_at` below.
-- All bigint: 32 bits overflow at scale.
set variable answers = cast(getvariable('answers') as bigint);
set variable seed = cast(getvariable('seed') as bigint);
set variable accounts = getvariable('answers') // 10;
set variable contacts = getvariable('answers') * 2 // 3;
set variable newcomers = getvariable('contacts') * 3 // 10;
set variable owners = greatest(20, getvariable('accounts') // 50);
set variable managers = greatest(4, getvariable('owners') // 5);
-- Users are numbered: owners, managers, the head, the manager of support, agents.
set variable head = getvariable('owners') + getvariable('managers');
set variable agents = greatest(6, getvariable('owners') // 40);
set variable staff = greatest(8, getvariable('contacts') // 250);
-- 18 % more than asked for: people who joined later or unsubscribed are planned but not sent to.
set variable planned = getvariable('answers') * getvariable('invitations_per_answer') * 118 // 100;
set variable starts_at = cast(1688169600 as bigint);  -- 2023-07-01
set variable ends_at = cast(1751328000 as bigint);  -- 2025-07-01
set variable dip_starts_at = cast(1725148800 as bigint);  -- 2024-09-01
set variable dip_ends_at = cast(1735689600 as bigint);  -- 2025-01-01
-- Two actions of seeds/reference/actions.csv start on this day: one for the plan Starter, which works, and one for
-- APAC, which does not.
set variable actions_start_at = cast(1709251200 as bigint);  -- 2024-03-01

-- Pseudo-random draws come from md5, which no version of DuckDB may change, unlike hash() and random().
create macro draw(salt, key) as md5_number_lower(concat_ws(':', getvariable('seed'), salt, key));
-- One draw serves four decisions: its 16-bit slice 0 to 3, scaled to 0 … size - 1.
create macro pick(bits, slice, size) as
    cast((bits >> cast(16 * slice as ubigint)) & cast(65535 as ubigint) as bigint) * size // 65536;
-- The smallest step from the golden ratio on that visits all of 0 … size - 1 before coming back.
create macro stride(size) as table (
    select min(step) as stride from range(size * 618 // 1000 + 1, size * 2) as steps (step) where gcd(step, size) = 1
);
create macro shuffled(position, size, step) as (position * step + getvariable('seed')) % size;
set variable account_stride = (from stride(getvariable('accounts')));
set variable contact_stride = (from stride(getvariable('contacts')));

create macro iso(seconds) as strftime(make_timestamp(seconds * 1000000), '%Y-%m-%dT%H:%M:%SZ');
-- Months are counted from 0, the first; faster than comparing their names.
create macro month_no_of(seconds) as datediff(
    'month', make_timestamp(getvariable('starts_at') * 1000000), make_timestamp(seconds * 1000000)
);
create macro salesforce_id(prefix, number) as prefix || '5e' || upper(to_base(number, 36, 10));
create macro agent_id(agent_no) as salesforce_id('005', getvariable('head') + 2 + agent_no);
create macro person_id(person_no) as cast(1000000000 + person_no as varchar);
create macro request_id(invitation_no) as cast(5000000000 + invitation_no as varchar);
create macro name_of(number) as [
    'Anna', 'Ben', 'Carla', 'Daniel', 'Elena', 'Felix', 'Grace', 'Hiro', 'Ines', 'Jonas', 'Kenji', 'Laura', 'Marco',
    'Nadia', 'Oscar', 'Priya', 'Quentin', 'Rosa', 'Samuel', 'Tara', 'Ulrike', 'Victor', 'Wendy', 'Xavier', 'Yuki',
    'Zoë', 'Amir', 'Beatriz', 'Chen', 'Deepa', 'Émile', 'Fatima', 'Gustavo', 'Hannah', 'Ivan', 'José', 'Keiko', 'Liam',
    'Mei', 'Noah'
][1 + number % 40] || ' ' || [
    'Abbott', 'Almeida', 'Baker', 'Bauer', 'Bianchi', 'Carter', 'Chandra', 'Costa', 'Dubois', 'Evans', 'Fischer',
    'Fontaine', 'Garcia', 'Gupta', 'Hansen', 'Hughes', 'Ito', 'Jansen', 'Jones', 'Kaur', 'Kim', 'Kovač', 'Laurent',
    'Lehmann', 'Lopez', 'Martin', 'Mendes', 'Meyer', 'Moreau', 'Müller', 'Nakamura', 'Navarro', 'Novak', 'O''Neil',
    'Olsen', 'Park', 'Patel', 'Pereira', 'Petit', 'Quinn', 'Reyes', 'Rossi', 'Sato', 'Schneider', 'Silva', 'Singh',
    'Suzuki', 'Tan', 'Taylor', 'Torres', 'Usman', 'Vargas', 'Vogel', 'Walker', 'Wang', 'Weber', 'White', 'Yamada',
    'Young', 'Zhou'
][1 + number // 40 % 60];
-- 2,400 names; after that the mailbox gets a number.
create macro email_of(number, domain) as
    regexp_replace(replace(lower(strip_accents(name_of(number % 2400))), ' ', '.'), '[^a-z.]', '', 'g')
    || if(number < 2400, '', cast(number // 2400 + 1 as varchar)) || '@' || domain;

create table months as
select
    month_no,
    strftime(first_date, '%Y-%m') as label,
    month(first_date) as month_of_year,
    year(first_date) as year,
    first_date - date '1970-01-01' as first_day,
    cast(first_date + interval 1 month as date) - date '1970-01-01' as end_day,
    case month_of_year when 7 then 66 when 8 then 55 when 12 then 58 else 112 end as response_percent,
from (
    select month_no, cast(date '2023-07-01' + to_months(cast(month_no as integer)) as date) as first_date
    from range(24) as numbers (month_no)
);

-- One row per day on which surveys go out: Monday to Friday (day 0 is a Thursday).
create table workdays as
select
    month_no,
    day,
    row_number() over (partition by month_no order by day) - 1 as workday_no,
    count(*) over (partition by month_no) as workdays,
from (select month_no, unnest(range(first_day, end_day)) as day from months)
where (day + 3) % 7 < 5;

-- Accounts, their owners and what changed -------------------------------------------------------------------

create table countries as
from (values
    (0, 28, 'Americas', 'United States', -360, 'en'), (28, 34, 'Americas', 'Canada', -300, 'en'),
    (34, 38, 'Americas', 'Mexico', -360, 'es'), (38, 42, 'Americas', 'Brazil', -180, 'en'),
    (42, 54, 'EMEA', 'Germany', 60, 'de'), (54, 64, 'EMEA', 'United Kingdom', 0, 'en'),
    (64, 72, 'EMEA', 'France', 60, 'fr'), (72, 77, 'EMEA', 'Spain', 60, 'es'),
    (77, 80, 'EMEA', 'United Arab Emirates', 240, 'en'), (80, 88, 'APAC', 'Japan', 540, 'ja'),
    (88, 94, 'APAC', 'Australia', 600, 'en'), (94, 97, 'APAC', 'Singapore', 480, 'en'),
    (97, 100, 'APAC', 'India', 330, 'en')
) as countries (first_roll, end_roll, region, country, utc_offset_minutes, language);

-- One row per account, largest first (account_no); the rows after the last are duplicates, merged into another.
create table accounts as
with numbered as (
    select
        record_no,
        if(
            record_no < getvariable('accounts'), record_no, (record_no - getvariable('accounts')) * 100 + 7
        ) as account_no,
        record_no <> account_no as is_duplicate,
        account_no % 100 = 7 as has_duplicate,
        draw('account', account_no) as roll,
        draw('account change', account_no) as change_roll,
    from range(getvariable('accounts') + (getvariable('accounts') + 92) // 100) as numbers (record_no)
),

sized as (
    select
        *,
        shuffled(account_no, getvariable('accounts'), getvariable('account_stride')) as name_no,
        greatest(0, 9 - account_no * 9 // getvariable('accounts') + pick(roll, 0, 3) - 1) as magnitude,
        name_no * 1009 % 2880 as label_no,
        pick(change_roll, 0, 1000) < 105 and not has_duplicate as changes_owner,
        pick(change_roll, 1, 1000) < 85 and not has_duplicate as changes_segment,
        -- A change lies between the 2nd and the 23rd month, so that it falls inside the answers.
        getvariable('starts_at') + 86400 * (45 + pick(change_roll, 2, 600)) as change_at,
    from numbered
)

select
    record_no,
    account_no,
    is_duplicate,
    salesforce_id('001', if(is_duplicate, record_no, name_no)) as account_id,
    salesforce_id('001', name_no) as surviving_account_id,
    [
        'Bel', 'Cor', 'Dal', 'Ever', 'Fen', 'Gran', 'Hal', 'Iv', 'Jas', 'Kel', 'Lum', 'Mar', 'Nor', 'Or', 'Pel', 'Quin',
        'Ros', 'Sol', 'Tam', 'Ul', 'Val', 'Wes', 'Yar', 'Zel'
    ][1 + label_no % 24] || [
        'andra', 'brook', 'by', 'cade', 'dane', 'enta', 'field', 'gard', 'imar', 'lund', 'mora', 'nova', 'oris', 'quist',
        'ridge', 'stad', 'tova', 'udo', 'vale', 'wick'
    ][1 + label_no // 24 % 20] || ' ' || [
        'Foods', 'Logistics', 'Health', 'Retail', 'Software', 'Works'
    ][1 + label_no // 480] || if(name_no < 2880, '', ' ' || cast(name_no // 2880 + 1 as varchar)) as name,
    replace(lower(name), ' ', '-') || '.example' as domain,
    [
        'Food and beverage', 'Transport', 'Healthcare', 'Retail', 'Software', 'Manufacturing'
    ][1 + label_no // 480] as industry,
    (150000 << magnitude) // 1000 * (1000 + pick(roll, 1, 900)) as annual_revenue,
    greatest(5, annual_revenue // (90000 + pick(roll, 2, 120000))) as number_of_employees,
    if(
        account_no % 40 = 39,
        salesforce_id('001', shuffled(account_no - 39, getvariable('accounts'), getvariable('account_stride'))),
        null
    ) as parent_id,
    region,
    country,
    utc_offset_minutes,
    language,
    getvariable('starts_at') - 86400 * (60 + pick(draw('account since', account_no), 1, 2600)) as customer_since_at,
    pick(draw('account since', account_no), 2, 31) - 15 as mood,
    pick(draw('account since', account_no), 3, getvariable('owners')) as first_owner_no,
    (first_owner_no + 1 + pick(change_roll, 3, getvariable('owners') - 1)) % getvariable('owners') as second_owner_no,
    (second_owner_no + 1) % getvariable('owners') as third_owner_no,
    if(changes_owner, change_at, null) as owner_changed_at,
    -- One in four owner changes is followed by another: the first successor left.
    if(changes_owner and pick(change_roll, 3, 4000) % 4 = 0, change_at + 86400 * 60, null) as owner_changed_again_at,
    if(changes_segment, change_at + 86400 * 11 + 3600, null) as segment_changed_at,
    pick(change_roll, 1, 1000) % 10 as segment_change,  -- 0 to 5 plan, 6 to 8 tier, 9 region
    if(is_duplicate, getvariable('starts_at') + 86400 * (100 + pick(change_roll, 2, 400)), null) as merged_at,
    greatest(0, least(2, (magnitude + pick(roll, 2, 5) - 2) // 4)) as plan_no,
    greatest(0, least(2, magnitude // 3 - 1 + pick(roll, 3, 2))) as tier_no,
from sized
inner join countries on pick(roll, 3, 100) >= first_roll and pick(roll, 3, 100) < end_roll;

-- One row per account record and time without a change: the account as it was.
create table account_versions as
with changes as (
    select record_no, unnest(list_distinct(list_filter(
        [customer_since_at, owner_changed_at, owner_changed_again_at, segment_changed_at, merged_at],
        lambda change_at: change_at is not null
    ))) as valid_from
    from accounts
),

bounded as (
    select *, lead(valid_from) over (partition by record_no order by valid_from) as valid_to from changes
)

select
    record_no,
    valid_from,
    valid_to,
    case
        when valid_from >= owner_changed_again_at then third_owner_no
        when valid_from >= owner_changed_at then second_owner_no
        else first_owner_no
    end as owner_no,
    coalesce(valid_from >= segment_changed_at, false) as is_changed,
    -- Upwards, and from the top downwards.
    [1, 2, 1] as steps,
    ['Starter', 'Team', 'Enterprise'][1 + if(is_changed and segment_change < 6, steps[1 + plan_no], plan_no)] as plan,
    ['C', 'B', 'A'][1 + if(is_changed and segment_change between 6 and 8, steps[1 + tier_no], tier_no)] as tier,
    case when is_changed and segment_change = 9 then if(region = 'EMEA', 'APAC', 'EMEA') else region end as region,
    coalesce(valid_from >= merged_at, false) as is_merged,
    mood,
from bounded
inner join accounts using (record_no);

-- People ----------------------------------------------------------------------------------------------------

-- One row per person who can be asked; the last are our own staff, who only try the surveys.
create table people as
with numbered as (
    select
        person_no,
        person_no >= getvariable('contacts') as is_staff,
        draw('person', person_no) as roll,
        draw('person account', person_no) as account_roll,
        -- Newcomers join evenly over the two years; everybody else was there before.
        person_no - (getvariable('contacts') - getvariable('newcomers')) as newcomer_no,
        -- The smaller of two draws: large accounts have more people.
        cast(least(
            (account_roll & 4294967295) % getvariable('accounts'), (account_roll >> 32) % getvariable('accounts')
        ) as bigint) as account_no,
        pick(roll, 0, 1000) as link_roll,
    from range(getvariable('contacts') + getvariable('staff')) as numbers (person_no)
),

staff_domains as (
    select list(domain order by domain) as staff_domains
    from read_csv(getvariable('staff_domains_csv'), all_varchar = true, header = true)
)

select
    person_no,
    is_staff,
    not is_staff and link_roll >= 30 as is_in_crm,
    if(is_in_crm and link_roll >= 45, numbered.account_no, null) as linked_account_no,
    if(link_roll >= 700, coalesce(duplicates.account_id, accounts.account_id), accounts.account_id) as account_id,
    name_of(person_no * 1009 % 2400) as name,
    email_of(
        person_no * 1009 % 2400 + person_no // 2400 * 2400,
        if(is_staff, staff_domains[1 + person_no % len(staff_domains)], accounts.domain)
    ) as email,
    case when is_staff then 'en' when pick(roll, 1, 10) < 6 then accounts.language else 'en' end as language,
    accounts.utc_offset_minutes,
    pick(roll, 1, 1000) % 100 < 2 and not is_staff as is_bouncing,
    40 + pick(roll, 2, 121) as response_percent,
    if(
        newcomer_no >= 0 and not is_staff,
        getvariable('starts_at') - 86400 * 40
        + newcomer_no * (getvariable('ends_at') - getvariable('starts_at')) // getvariable('newcomers'),
        getvariable('starts_at') - 86400 * (45 + pick(account_roll, 1, 700)) - pick(account_roll, 2, 86400)
    ) as created_at,
    if(
        pick(roll, 3, 1000) < 25 and not is_staff,
        getvariable('starts_at') + 86400 * (30 + pick(account_roll, 3, 680)) + pick(account_roll, 2, 86400),
        null
    ) as unsubscribed_at,
    is_in_crm and not is_staff and person_no % 100 = 50 as has_duplicate,
from numbered
inner join accounts on accounts.account_no = numbered.account_no and not accounts.is_duplicate
left join accounts as duplicates on duplicates.account_no = numbered.account_no and duplicates.is_duplicate
cross join staff_domains;

-- Whom we asked ---------------------------------------------------------------------------------------------

-- One row per survey and month in which it is sent, with the numbers of its invitations. `first_turn` counts on over
-- the months of a family, so that everybody of a pool is asked before anybody is asked again.
create table slots as
with weights as (
    select
        month_no,
        'relationship' as family,
        'relationship-' || year as survey,
        case month_of_year % 6 when 5 then 3 else 5 end as weight,
    from months
    where month_of_year in (3, 4, 5, 9, 10, 11)
    union all
    select month_no, 'post-support', 'post-support', if(month_of_year in (7, 8, 12), 8, 10) + month_no // 6
    from months
    union all
    select month_no, 'post-invoice', 'post-invoice', if(month_of_year % 3 = 1, 14, 8) from months
    union all
    select month_no, 'onboarding-end', 'onboarding-end', 1 from months
),

totals as (
    select family, (getvariable('planned') - getvariable('newcomers')) * percent // 100 as total
    from (values ('relationship', 46), ('post-support', 34), ('post-invoice', 20)) as shares (family, percent)
    union all
    select 'onboarding-end', getvariable('newcomers')
),

sized as (
    select
        *,
        total * (sum(weight) over so_far - weight) // sum(weight) over whole_family as first_turn,
        total * sum(weight) over so_far // sum(weight) over whole_family as end_turn,
    from weights
    inner join totals using (family)
    window so_far as (partition by family order by month_no), whole_family as (partition by family)
)

select
    month_no,
    family,
    survey,
    cast(first_turn as bigint) as first_turn,
    cast(end_turn - first_turn as bigint) as size,
    cast(sum(size) over (order by month_no, family) - size as bigint) as first_no,
    (select count(*) from workdays where workdays.month_no = sized.month_no) as workdays,
from sized;

-- One row per invitation, with the moment of the answer if there was one.
create table invitations as
with planned as (
    select
        month_no,
        family,
        survey,
        unnest(range(size)) as position,
        first_turn + position as turn,
        first_no + position as invitation_no,
        position * workdays // size as workday_no,
    from slots
),

rolled as (
    select
        planned.*,
        workdays.day,
        draw('invitation', invitation_no) as roll,
        draw('answer', invitation_no) as answer_roll,
    from planned
    inner join workdays using (month_no, workday_no)
),

-- Pools: a twelfth of the people write a third of the support cases; invoices go to three in ten.
addressed as (
    select
        *,
        case family
            when 'relationship' then turn % getvariable('contacts')
            when 'post-invoice' then turn % (getvariable('contacts') * 3 // 10)
            when 'post-support' then if(
                pick(roll, 0, 100) < 35,
                turn % (getvariable('contacts') // 12),
                getvariable('contacts') // 12 + turn % (getvariable('contacts') - getvariable('contacts') // 12)
            )
        end as pool_position,
        if(
            family = 'onboarding-end',
            getvariable('contacts') - getvariable('newcomers') + turn,
            shuffled(pool_position, getvariable('contacts'), getvariable('contact_stride'))
        ) as person_no,
        case family
            when 'onboarding-end' then 'in_app'
            when 'relationship' then 'email'
            else if(pick(roll, 1, 10) < 3, 'sms', 'email')
        end as channel,
    from rolled
),

sent as (
    select
        invitation_no,
        family,
        survey,
        channel,
        person_no,
        linked_account_no,
        language,
        answer_roll,
        day * 86400 + 9 * 3600 + pick(roll, 2, 30600) + pick(roll, 3, 60) - utc_offset_minutes * 60 as created_at,
        is_bouncing and channel = 'email' as is_bounced,
        people.response_percent * case
            when family = 'relationship' then 25
            when family = 'post-support' then if(channel = 'sms', 29, 22)
            when family = 'post-invoice' then 17
            else 34
        end as response_rate,
    from addressed
    inner join people using (person_no)
    where day * 86400 >= people.created_at
        and (unsubscribed_at is null or (day + 1) * 86400 < unsubscribed_at)
),

answering as (
    select
        sent.*,
        months.month_no,
        -- Half answer within three hours, most others at about the same hour of one of the next days.
        sent.created_at + 240 + case
            when family = 'onboarding-end' then pick(answer_roll, 2, 900)
            when pick(answer_roll, 1, 100) < 55 then pick(answer_roll, 2, 10800)
            else 86400 * [1, 1, 1, 2, 2, 3, 4, 6, 8, 11][1 + pick(answer_roll, 3, 10)] + pick(answer_roll, 2, 7200)
        end as answer_at,
        not is_bounced and answer_at < getvariable('ends_at') and pick(answer_roll, 0, 1000000)
            < response_rate * months.response_percent * 4 // getvariable('invitations_per_answer') as is_answered,
    from sent
    inner join months on months.month_no = month_no_of(sent.created_at)
)

select * exclude (response_rate, answer_roll, answer_at, is_answered), if(is_answered, answer_at, null) as answered_at
from answering;

-- What they said --------------------------------------------------------------------------------------------

-- What goes wrong, how often in 3,000 answers, and what the score then looks like.
create table faults as
select *, sum(per_3000) over (order by fault_no) - per_3000 as first_slot
from (values
    (1, 'edited', 34, null), (2, 'edited twice', 8, null), (3, 'late', 44, null), (4, 'delivered again', 28, null),
    (5, 'delivered twice', 11, null), (6, 'submitted twice', 14, null), (7, 'staff', 15, null), (8, 'test', 10, null),
    (9, 'unknown survey', 5, null), (10, 'no score', 25, ''), (11, 'not applicable', 3, 'N/A'),
    (12, 'word', 2, 'ten'), (13, 'too high', 3, '11'), (14, 'negative', 2, '-1'), (15, 'fraction', 4, '8.9'),
    (16, 'whole decimal', 4, '9.0'), (17, 'padded', 3, ' 10 '), (18, 'future', 2, null), (19, 'no time', 3, null)
) as faults (fault_no, fault, per_3000, score_text);

-- How the rows of one answer arrive: in which file, as which version, and what must become of each.
create table arrivals as
from (values
    ('none', 1, 0, 'counted'), ('csat', 1, 0, 'not_nps'), ('late', 1, 1, 'counted'), ('staff', 1, 0, 'staff'),
    ('edited', 1, 0, 'superseded'), ('edited', 2, 0, 'counted'),
    ('edited twice', 1, 0, 'superseded'), ('edited twice', 2, 0, 'superseded'), ('edited twice', 3, 0, 'counted'),
    ('delivered again', 1, 0, 'counted'), ('delivered again', 1, 1, 'duplicate'),
    ('delivered twice', 1, 0, 'counted'), ('delivered twice', 1, 0, 'duplicate'),
    ('submitted twice', 1, 0, 'duplicate'), ('submitted twice', 2, 0, 'counted'),
    ('test', 1, 0, 'test'), ('unknown survey', 1, 0, 'unknown_survey'), ('no score', 1, 0, 'missing_score'),
    ('not applicable', 1, 0, 'not_integer'), ('word', 1, 0, 'not_integer'), ('fraction', 1, 0, 'not_integer'),
    ('too high', 1, 0, 'out_of_range'), ('negative', 1, 0, 'out_of_range'), ('whole decimal', 1, 0, 'counted'),
    ('padded', 1, 0, 'counted'), ('future', 1, 0, 'invalid_time'), ('no time', 1, 0, 'invalid_time')
) as arrivals (fault, version, months_later, decision);

create macro score_of(bits, points) as case
    when pick(bits, 0, 1000) < greatest(15, 335 - 5 * points) then
        case
            when pick(bits, 1, 100) < 6 then 0
            when pick(bits, 1, 100) < 10 then 1
            when pick(bits, 1, 100) < 16 then 2
            when pick(bits, 1, 100) < 26 then 3
            when pick(bits, 1, 100) < 36 then 4
            when pick(bits, 1, 100) < 61 then 5
            else 6
        end
    when pick(bits, 0, 1000) < greatest(15, 335 - 5 * points) + 330 then if(pick(bits, 1, 100) < 40, 7, 8)
    else if(pick(bits, 1, 100) < 46, 9, 10)
end;
-- One support agent is worse than the others: a quarter of all detractors come on top of a fair share.
create macro agent_of(answer_no, category) as if(
    category = 'detractor' and pick(draw('agent', answer_no), 0, 100) < 25,
    0,
    pick(draw('agent', answer_no), 1, getvariable('agents'))
);
create macro category_of(score) as
    case when score >= 9 then 'promoter' when score >= 7 then 'passive' else 'detractor' end;

-- Of twenty owners one calls every detractor back at once, one nobody, and the others now and then.
create macro calls_back(owner_no, answer_no) as case
    when owner_no % 20 = 0 then true
    when owner_no % 20 = 1 then false
    else coalesce(owner_no >= 0 and pick(draw('call back', answer_no), 0, 100) < 45, false)
end;

-- One row per answer as it was meant, with at most one fault, so that its decision is beyond doubt.
create table answers as
with given as (
    select invitation_no, person_no, linked_account_no, survey, language, answered_at
    from invitations
    where answered_at is not null
    union all
    -- Answers through a link on the invoice page: nobody knows who gave them.
    select
        null, null, null, 'post-invoice', 'en',
        getvariable('starts_at')
        + link_no * (getvariable('ends_at') - getvariable('starts_at')) // (getvariable('answers') // 50)
        + pick(draw('link', link_no), 0, 36000),
    from range(getvariable('answers') // 50 - 1) as numbers (link_no)
),

numbered as (
    select
        *,
        row_number() over (order by answered_at, invitation_no nulls last) as answer_no,
        -- Multiples of the golden ratio: every fault is spread evenly over time, at every size.
        (answer_no * 618033 + getvariable('seed') * 40503) % 1000000 * 3 // 1000 as slot,
        month_no_of(answered_at) as month_no,
    from given
),

-- Points are the expected NPS of the answer: the known truth behind the sample.
modelled as (
    select
        answer_no,
        invitation_no,
        person_no,
        survey,
        language,
        answered_at,
        month_no,
        region,
        linked_account_no,
        owner_no,
        coalesce(region = 'EMEA', false) and answered_at >= getvariable('dip_starts_at')
            and answered_at < getvariable('dip_ends_at') as is_in_dip,
        case survey when 'post-support' then 33 when 'post-invoice' then 18 when 'onboarding-end' then 43 else 24 end
        + case plan when 'Enterprise' then 14 when 'Starter' then -13 else 0 end
        + case region when 'Americas' then 3 when 'APAC' then -2 else 0 end
        + coalesce(mood, 0) - if(is_in_dip, 52, 0)
        + if(plan = 'Starter' and answered_at >= getvariable('actions_start_at'), 40, 0) as points,
        case
            when invitation_no is null or (fault_no <= 6 and month_no > 21) then 'none'
            when fault is not null then fault
            when survey = 'post-support' and pick(draw('csat', answer_no), 0, 100) < 7 then 'csat'
            else 'none'
        end as fault,
        score_text,
    from numbered
    left join faults on numbered.slot >= faults.first_slot and numbered.slot < faults.first_slot + faults.per_3000
    left join account_versions as versions
        on versions.record_no = numbered.linked_account_no
        and numbered.answered_at >= versions.valid_from
        and numbered.answered_at < coalesce(versions.valid_to, getvariable('ends_at'))
),

-- Who is called back after a bad answer gives a better one the next time.
called_back as (
    select
        *,
        coalesce(
            person_no is not null and lag(
                calls_back(owner_no, answer_no)
                and category_of(score_of(draw('score', answer_no || '/1'), points)) = 'detractor'
            ) over (partition by person_no order by answer_no),
            false
        ) as is_after_call
    from modelled
)

select
    * exclude (is_after_call) replace (
        points + if(is_after_call, 45, 0) as points,
        if(fault in ('none', 'csat'), null, score_text) as score_text
    )
from called_back;

-- One row per row of the exports, with the decision it must get.
create table delivered as
with timed as (
    select
        answers.* exclude (month_no, answered_at),
        version,
        decision,
        fault = 'submitted twice' and version = 2 as is_second_answer,
        8000000000 + answer_no * 2 + if(is_second_answer, 1, 0) as response_no,
        answered_at + if(is_second_answer, 120 + pick(draw('again', answer_no), 0, 3000), 0) as created_at,
        if(
            fault like 'edited%' and version > 1,
            edit_months.first_day * 86400 + 28800 + pick(draw('edit', answer_no), version, 2000000),
            created_at
        ) as updated_at,
        months_later,
        if(
            survey = 'post-support' and invitation_no is not null,
            agent_of(answer_no, category_of(score_of(draw('score', answer_no || '/1'), points))),
            null
        ) as agent_no,
        -- Two edits in three change the score, the others only the comment.
        if(fault like 'edited%' and version > 1 and answer_no % 3 = 0, 1, version) as score_version,
    from answers
    inner join arrivals using (fault)
    inner join months as edit_months on edit_months.month_no = answers.month_no + version - 1
),

scored as (
    select
        timed.* exclude (months_later, score_version, is_second_answer),
        month_no_of(updated_at) + months_later as month_no,
        case
            when fault = 'csat' then 1 + pick(draw('csat', answer_no), 1, 6) * 5 // 6
            when fault = 'whole decimal' then 9
            when fault = 'padded' then 10
            else score_of(draw('score', answer_no || '/' || score_version), points)
        end as score,
        draw('comment', answer_no || '/' || version) as comment_roll,
    from timed
)

select
    scored.* exclude (points),
    category_of(score) as category,
    pick(comment_roll, 0, 100)
        < case category_of(score) when 'promoter' then 44 when 'passive' then 36 else 60 end as has_comment,
from scored;

-- A steward's decision strikes only what would have counted.
create table exclusions as
select cast(source_response_id as bigint) as response_no, effect
from read_csv(getvariable('exclusions_csv'), all_varchar = true, header = true);
update delivered set decision = 'excluded_by_steward'
where decision = 'counted' and response_no in (select response_no from exclusions where effect = 'exclude');

-- What became of it -----------------------------------------------------------------------------------------

-- One row per detractor who was called back, with the time of the call and, if there was one, of the solution.
create table calls as
select
    response_no,
    person_no,
    linked_account_no,
    owner_no,
    draw('call', answer_no) as roll,
    created_at + 3600 * if(owner_no % 20 = 0, 1 + pick(roll, 0, 5), 4 + pick(roll, 0, 190)) as called_at,
    if(
        pick(roll, 1, 100) < if(owner_no % 20 = 0, 95, 70), called_at + 3600 * (20 + pick(roll, 2, 300)), null
    ) as solved_at,
from delivered
where decision = 'counted' and category = 'detractor' and linked_account_no is not null
    and calls_back(owner_no, answer_no) and called_at < getvariable('ends_at');

create table account_answers as
select linked_account_no as account_no, created_at, category
from delivered
where decision = 'counted' and linked_account_no is not null;

-- Four sales per account; whether one is won follows the last answer before it.
create table opportunities as
with drawn as (
    select
        account_no,
        sale_no,
        annual_revenue // 2000 as amount,
        draw('sale', account_no || '/' || sale_no) as roll,
        getvariable('starts_at') + 86400 * (180 * sale_no + pick(roll, 0, 180)) as closed_at,
    from accounts
    cross join range(4) as sales (sale_no)
    where not is_duplicate
)

select
    drawn.*,
    account_answers.category,
    pick(roll, 1, 100) < case account_answers.category
        when 'promoter' then 65 when 'detractor' then 20 else 42 end as is_won,
from drawn
asof left join account_answers
    on account_answers.account_no = drawn.account_no and account_answers.created_at <= drawn.closed_at;

-- Accounts that left after what they answered, and those of them that are back before they answer again.
create table lost_accounts as
with answers as (
    select
        *,
        draw('lost', account_no || '/' || created_at) as roll,
        lead(created_at) over (partition by account_no order by created_at) as next_answer_at,
    from account_answers
)

select
    record_no,
    created_at + 86400 * (10 + pick(roll, 1, 60)) as lost_at,
    next_answer_at - 86400 * 20 as back_at,
    category,
from answers
inner join accounts using (account_no)
where not is_duplicate and lost_at < getvariable('ends_at')
    and (next_answer_at is null or next_answer_at > created_at + 86400 * 120)
    and pick(roll, 0, 100) < case category when 'promoter' then 2 when 'passive' then 6 else 30 end;

-- One row per phrase, numbered within what can be said; `tone` is the category, or `dip`: what the dip was about.
create table phrases as
with toned as (
    select category as tone, language, theme = 'opener' as is_opener, text
    from read_csv(getvariable('verbatims_csv'), all_varchar = true, header = true)
    where theme <> 'billing migration'
    union all
    select 'dip', language, theme = 'opener', text
    from read_csv(getvariable('verbatims_csv'), all_varchar = true, header = true)
    where category = 'detractor' and theme in ('opener', 'billing migration', 'support speed')
)

select
    *,
    row_number() over (partition by tone, language, is_opener order by text) - 1 as phrase_no,
    count(*) over (partition by tone, language, is_opener) as phrases,
from toned;

-- The exports -----------------------------------------------------------------------------------------------

create schema delighted;
create schema salesforce;

create view delighted.survey_responses as
with spoken as (
    select
        *,
        if(is_in_dip and category = 'detractor' and pick(comment_roll, 1, 100) < 85, 'dip', category) as tone,
        has_comment and pick(draw('shape', comment_roll), 0, 100) < 65 as has_opener,
        has_comment and (not has_opener or pick(draw('shape', comment_roll), 1, 100) < 92) as has_sentence,
        has_sentence and pick(draw('shape', comment_roll), 2, 100) < 35 as has_second,
    from delivered
),

sizes as (
    select
        tone, language,
        max(phrases) filter (where is_opener) as openers,
        max(phrases) filter (where not is_opener) as sentences,
    from phrases
    group by all
),

worded as (
    select
        spoken.*,
        concat_ws(' ', opener.text, first_sentence.text, second_sentence.text) as words,
    from spoken
    left join sizes on spoken.tone = sizes.tone and spoken.language = sizes.language
    left join phrases as opener
        on opener.tone = sizes.tone and opener.language = sizes.language and opener.is_opener
        and has_opener and opener.phrase_no = pick(comment_roll, 2, openers)
    left join phrases as first_sentence
        on first_sentence.tone = sizes.tone and first_sentence.language = sizes.language
        and not first_sentence.is_opener and has_sentence and first_sentence.phrase_no = pick(comment_roll, 3, sentences)
    left join phrases as second_sentence
        on second_sentence.tone = sizes.tone and second_sentence.language = sizes.language
        and not second_sentence.is_opener and has_second and sentences > 1 and second_sentence.phrase_no
            = (pick(comment_roll, 3, sentences) + 1 + pick(comment_roll, 2, sentences - 1)) % sentences
)

select
    month_no,
    cast(response_no as varchar) as id,
    case
        when fault = 'staff' then person_id(getvariable('contacts') + answer_no % getvariable('staff'))
        else person_id(person_no)
    end as person,
    if(fault = 'csat', 'csat', 'nps') as survey_type,
    nullif(coalesce(score_text, cast(score as varchar)), '') as score,
    nullif(words, '') as comment,
    'https://delighted.example/r/' || response_no as permalink,
    case fault
        when 'future' then cast(created_at + 5522000000 as varchar)
        when 'no time' then null
        else cast(created_at as varchar)
    end as created_at,
    cast(updated_at as varchar) as updated_at,
    '{"survey": "' || if(fault = 'unknown survey', 'pilot-2022', survey) || '", "language": "' || language
    || '", "device": "' || ['mobile', 'desktop', 'desktop', 'tablet'][1 + answer_no % 7 % 4]
    || coalesce('", "agent": "' || agent_id(agent_no), '') || '"}'
        as person_properties,
    case when fault = 'test' then '["test"]' when answer_no % 37 = 0 then '["vip"]' else '[]' end as tags,
    '[]' as notes,
    if(fault = 'staff', null, request_id(invitation_no)) as survey_request,
from worded;

create view delighted.survey_requests as
select
    month_no,
    request_id(invitation_no) as id,
    person_id(person_no) as person,
    survey,
    channel,
    cast(created_at as varchar) as created_at,
    cast(if(is_bounced, null, created_at + 2 + pick(roll, 0, 40)) as varchar) as delivered_at,
    cast(case
        when is_bounced or (channel = 'sms' and started is null) then null
        when started is not null then started - 5 - pick(roll, 2, 40)
        when channel = 'in_app' then created_at + 45 + pick(roll, 2, 40)
        when pick(roll, 1, 100) < 45 then created_at + 120 + pick(roll, 2, 30000)
    end as varchar) as opened_at,
    cast(started as varchar) as started_at,
from (
    select
        *,
        draw('funnel', invitation_no) as roll,
        -- Five in a hundred begin and never finish.
        case
            when answered_at is not null then answered_at - 20 - pick(roll, 3, 80)
            when not is_bounced and pick(roll, 1, 100) < 5 then created_at + 200 + pick(roll, 2, 30000)
        end as started,
    from invitations
);

create table activity as
select
    person_no,
    max(created_at) as last_sent_at,
    max(answered_at) as last_responded_at,
    min(created_at) filter (where is_bounced) as bounced_at,
from invitations
group by person_no;

-- The survey tool got its addresses from many lists: some are shouted, some capitalised with a space behind.
create view delighted.people as
select
    person_id(person_no) as id,
    name,
    case person_no % 29
        when 3 then upper(email)
        when 11 then array_to_string([upper(part[1]) || part[2:] for part in string_split(email, '.')], '.') || ' '
        else email
    end as email,
    if(person_no % 4 = 1, '+1 555 01' || lpad(cast(person_no % 100 as varchar), 2, '0') || ' '
        || lpad(cast(person_no * 37 % 10000 as varchar), 4, '0'), null) as phone_number,
    cast(created_at as varchar) as created_at,
    cast(last_sent_at as varchar) as last_sent_at,
    cast(last_responded_at as varchar) as last_responded_at,
from main.people
left join activity using (person_no);

create view delighted.unsubscribes as
select person_id(person_no) as person_id, name, email, cast(unsubscribed_at as varchar) as unsubscribed_at
from main.people
where unsubscribed_at is not null;

create view delighted.bounces as
select person_id(person_no) as person_id, name, email, cast(bounced_at + 41 as varchar) as bounced_at
from activity
inner join main.people using (person_no)
where bounced_at is not null;

create view salesforce.account_history as
with changes as (
    select record_no, valid_from from account_versions
    union
    select record_no, lost_at from lost_accounts
    union
    select record_no, back_at from lost_accounts where back_at is not null
),

bounded as (
    select *, lead(valid_from) over (partition by record_no order by valid_from) as valid_to from changes
),

versions as (
    select
        account_versions.* replace (bounded.valid_from as valid_from, bounded.valid_to as valid_to),
        lost_at is not null and (back_at is null or bounded.valid_from < back_at) as is_lost,
    from bounded
    asof inner join account_versions
        on account_versions.record_no = bounded.record_no and account_versions.valid_from <= bounded.valid_from
    asof left join lost_accounts
        on lost_accounts.record_no = bounded.record_no and lost_accounts.lost_at <= bounded.valid_from
)

select
    account_id as id,
    name,
    industry,
    cast(annual_revenue as varchar) as annual_revenue,
    cast(number_of_employees as varchar) as number_of_employees,
    salesforce_id('005', owner_no) as owner_id,
    parent_id,
    if(is_merged, surviving_account_id, null) as master_record_id,
    if(is_lost, 'Former Customer', 'Customer') as type,
    country as billing_country,
    cast(is_merged as varchar) as is_deleted,
    versions.region as region__c,
    plan as plan__c,
    tier as tier__c,
    left(iso(customer_since_at), 10) as customer_since__c,
    iso(valid_from) as _fivetran_start,
    coalesce(iso(valid_to - 1), '9999-12-31T23:59:59Z') as _fivetran_end,
    cast(valid_to is null as varchar) as _fivetran_active,
from versions
inner join accounts using (record_no);

create view salesforce.account as
select * exclude (_fivetran_start, _fivetran_end, _fivetran_active)
from salesforce.account_history
where _fivetran_active = 'true';

-- One contact in a hundred was entered twice and merged.
create view salesforce.contact as
select
    salesforce_id('003', if(is_copy, getvariable('contacts') + person_no, person_no)) as id,
    if(linked_account_no is null, null, account_id) as account_id,
    email,
    [
        'Head of Operations', 'IT Manager', 'Analyst', 'Office Manager', 'Finance Lead', 'Team Lead', 'Buyer'
    ][1 + person_no % 7] as title,
    null as reports_to_id,
    if(is_copy, salesforce_id('003', person_no), null) as master_record_id,
    cast(unsubscribed_at is not null as varchar) as has_opted_out_of_email,
    cast(is_copy as varchar) as is_deleted,
    name,
    language as language__c,
    case when pick(draw('consent', person_no), 0, 100) < 35 then 'true'
        when pick(draw('consent', person_no), 0, 100) < 50 then 'false' end as reference_consent__c,
from people
cross join (values (false), (true)) as copies (is_copy)
where is_in_crm and (has_duplicate or not is_copy);

-- What the owners did: calls after bad answers, and requests to promoters to be a reference.
create view salesforce.task as
with tasks as (
    select
        salesforce_id('00T', row_number() over (order by response_no)) as id,
        person_no, linked_account_no, owner_no, 'NPS follow-up' as subject, 'Call' as type,
        called_at as created_at, solved_at as closed_at,
    from calls
    union all
    select
        salesforce_id('00R', row_number() over (order by response_no)),
        person_no, linked_account_no, owner_no, 'Reference request', 'Reference request',
        created_at + 86400 * 3, created_at + 86400 * 5,
    from delivered
    where decision = 'counted' and score = 10 and linked_account_no is not null
        and pick(draw('reference', answer_no), 0, 100) < 4 and created_at + 86400 * 5 < getvariable('ends_at')
)

select
    tasks.id,
    if(is_in_crm, salesforce_id('003', person_no), null) as who_id,
    accounts.account_id as what_id,
    accounts.account_id,
    salesforce_id('005', owner_no) as owner_id,
    subject,
    tasks.type,
    if(closed_at < getvariable('ends_at'), 'Completed', 'In Progress') as status,
    cast(coalesce(closed_at < getvariable('ends_at'), false) as varchar) as is_closed,
    'false' as is_deleted,
    iso(tasks.created_at) as created_date,
    if(closed_at < getvariable('ends_at'), iso(closed_at), null) as completed_date_time,
    left(iso(tasks.created_at), 10) as activity_date,
from tasks
inner join people using (person_no)
inner join accounts on accounts.account_no = tasks.linked_account_no and not accounts.is_duplicate;

create view salesforce.opportunity as
select
    salesforce_id('006', account_no * 4 + sale_no) as id,
    account_id,
    cast(amount as varchar) as amount,
    left(iso(closed_at), 10) as close_date,
    cast(is_won as varchar) as is_won,
    'true' as is_closed,
    'false' as is_deleted,
from opportunities
inner join accounts using (account_no)
where not is_duplicate and closed_at < getvariable('ends_at');

-- Owners, above them their managers, above those one head, who also has a manager of support with the agents.
create view salesforce.user as
select
    salesforce_id('005', user_no) as id,
    name_of(name_no % 2400) as name,
    email_of(name_no, 'halvorn.example') as email,
    case
        when user_no < getvariable('owners')
            then salesforce_id('005', getvariable('owners') + user_no % getvariable('managers'))
        when user_no < getvariable('head') or user_no = getvariable('head') + 1 then salesforce_id('005', getvariable('head'))
        when user_no > getvariable('head') then salesforce_id('005', getvariable('head') + 1)
    end as manager_id,
    cast(user_no % 20 <> 13 as varchar) as is_active,
    case
        when user_no < getvariable('owners') then 'Customer Success Manager'
        when user_no < getvariable('head') then 'Regional Manager'
        when user_no = getvariable('head') then 'Head of Customer Success'
        when user_no = getvariable('head') + 1 then 'Support Manager'
        else 'Support Agent'
    end as title,
from (
    select user_no, user_no % 2400 * 1447 % 2400 + user_no // 2400 * 2400 as name_no,
    from range(getvariable('head') + 2 + getvariable('agents')) as numbers (user_no)
);

-- The truth -------------------------------------------------------------------------------------------------

create macro tally(category) as {
    'promoters': count(*) filter (category = 'promoter'),
    'passives': count(*) filter (category = 'passive'),
    'detractors': count(*) filter (category = 'detractor')
};

create table counted as
select
    delivered.region,
    delivered.category,
    delivered.invitation_no,
    delivered.agent_no,
    surveys.survey_type,
    months.label as month,
    created_at >= getvariable('dip_starts_at') and created_at < getvariable('dip_ends_at') as is_in_dip_months,
from delivered
inner join read_csv(getvariable('surveys_csv'), all_varchar = true, header = true) as surveys
    on surveys.source_survey_id = delivered.survey
inner join months on months.month_no = month_no_of(delivered.created_at)
where decision = 'counted';

-- One row, one column per fact a test may rely on.
create view truth as
select
    (select count(*) from delivered) as raw_answers,
    (
        select map_from_entries(list((decision, rows) order by decision))
        from (select decision, count(*) as rows from delivered group by decision)
    ) as decisions,
    (
        select map_from_entries(list((fault, rows) order by fault))
        from (select fault, count(*) as rows from delivered where fault <> 'none' group by fault)
    ) as rows_by_fault,
    (
        select map_from_entries(list((survey_type, categories) order by survey_type))
        from (select survey_type, tally(category) as categories from counted group by survey_type)
    ) as counted_by_survey_type,
    (
        select map_from_entries(list((region, categories) order by region))
        from (select coalesce(region, 'none') as region, tally(category) as categories from counted group by all)
    ) as counted_by_region,
    (
        select map_from_entries(list((month, categories) order by month))
        from (select month, tally(category) as categories from counted group by month)
    ) as counted_by_month,
    {
        'segment': 'region', 'value': 'EMEA', 'from': '2024-09-01', 'to': '2024-12-31',
        'inside': (select tally(category) from counted where region = 'EMEA' and is_in_dip_months),
        'outside': (select tally(category) from counted where region = 'EMEA' and not is_in_dip_months),
        'other_regions_inside': (select tally(category) from counted where region <> 'EMEA' and is_in_dip_months),
        'other_regions_outside': (select tally(category) from counted where region <> 'EMEA' and not is_in_dip_months)
    } as dip,
    (
        select map_from_entries(list((label, counts) order by label))
        from (
            select label, {
                'sent': count(*),
                'delivered': count(*) filter (not is_bounced),
                'answered': count(answered_at)
            } as counts
            from invitations
            inner join months using (month_no)
            group by label
        )
    ) as invitations_by_month,
    [7, 8, 12] as low_response_months,
    (
        select map_from_entries(list((agent_id, categories) order by agent_id))
        from (
            select agent_id(agent_no) as agent_id, tally(category) as categories
            from counted
            where agent_no is not null
            group by agent_no
        )
    ) as counted_by_agent,
    (
        select map_from_entries(list((owner_id, counts) order by owner_id))
        from (
            select salesforce_id('005', delivered.owner_no) as owner_id, {
                'detractors': count(*),
                'called': count(called_at),
                'solved': count(solved_at) filter (solved_at < getvariable('ends_at'))
            } as counts
            from delivered
            left join calls using (response_no)
            where decision = 'counted' and delivered.category = 'detractor' and delivered.owner_no is not null
            group by delivered.owner_no
        )
    ) as calls_by_owner,
    (
        select map_from_entries(list((category, counts) order by category))
        from (
            select coalesce(category, 'none') as category, {'closed': count(*), 'won': count(*) filter (is_won)} as counts
            from opportunities
            where closed_at < getvariable('ends_at')
            group by all
        )
    ) as sales_by_last_category,
    (
        select map_from_entries(list((category, accounts) order by category))
        from (select category, count(*) as accounts from lost_accounts where back_at is null group by all)
    ) as lost_accounts_by_last_category,
    (select count(*) from accounts where not is_duplicate) as accounts,
    (select count(*) from accounts where owner_changed_at is not null) as accounts_with_owner_change,
    (select count(*) from accounts where segment_changed_at is not null) as accounts_with_segment_change,
    (select count(*) from accounts where is_duplicate) as merged_accounts,
    (select count(*) from people where not is_staff) as people,
    (select count(*) from people where not is_staff and not is_in_crm) as people_not_in_crm;
