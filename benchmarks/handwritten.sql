-- The published tables of the sample company in one DuckDB script, written by hand for speed: the yardstick of
-- `make bench`. It knows what the dbt project must not assume: one survey tool, one CRM that keeps histories, no chains
-- of merges and none taken back, no groups, no combined segments, the variables of dbt_project.yml as they are.
-- Variables: lake and reference, two folders.

create schema work;
create schema marts;
create schema quality;

-- ------------------------------------------------------------------------------------------------ formulas

create macro points(x) as cast(floor((x) * 10000e0 + 0.500001e0) / 10000e0 as decimal(9, 4));
create macro six_digits(x) as cast(floor((x) * 1000000e0 + 0.500001e0) / 1000000e0 as decimal(18, 6));
create macro rate(part, whole) as six_digits(1e0 * (part) / nullif(whole, 0));
create macro z() as 1.9599639845400536e0;
create macro nps(p, d, n) as 100e0 * (p - d) / nullif(n, 0);
create macro theta(p, d, n) as (p - d) / (n + 3e0);
create macro variance(p, d, n) as ((p + d + 1.5e0) / (n + 3e0) - theta(p, d, n) * theta(p, d, n)) / (n + 3e0);
create macro bound(p, d, n, distance) as
    case when n > 0 then 100e0 * greatest(-1e0, least(1e0, theta(p, d, n) + distance * sqrt(variance(p, d, n)))) end;
create macro controllable(p, a, d) as
    case when p + a + d >= 10 then points(nps(p, d, p + a + d)) end;
create macro evidence(n) as
    case when n >= 100 then 'reportable' when n >= 30 then 'directional' when n >= 10 then 'interval' else 'insufficient' end;
create macro category(score) as case when score >= 9 then 'promoter' when score >= 7 then 'passive' when score < 7 then 'detractor' end;
create macro normal_tail(x) as
    case
        when x > 37e0 then 0e0
        when x < 7.07106781186547e0
            then
                exp(-(x * x) / 2e0)
                * ((((((3.52624965998911e-2 * x + 7.00383064443688e-1) * x + 6.37396220353165e0) * x + 3.3912866078383e1) * x + 1.12079291497871e2) * x + 2.21213596169931e2) * x + 2.20206867912376e2)
                / (((((((8.83883476483184e-2 * x + 1.75566716318264e0) * x + 1.6064177579207e1) * x + 8.67807322029461e1) * x + 2.96564248779674e2) * x + 6.37333633378831e2) * x + 7.93826512519948e2) * x + 4.40413735824752e2)
        else exp(-(x * x) / 2e0) / 2.506628274631e0 / (x + 1e0 / (x + 2e0 / (x + 3e0 / (x + 4e0 / (x + 0.65e0)))))
    end;

create macro epoch_second(text) as
    case when abs(try_cast(text as double)) < 1e11 then make_timestamp(cast(try_cast(text as double) * 1000000 as bigint)) end;
create macro filled(text) as coalesce(nullif(trim(text), ''), 'unknown');
-- As macros/identity.sql has it.
create macro without_contact_details(text) as
    case
        when regexp_matches(text, '@|[(\[]at[)\]]|[0-9](?:[^0-9]{0,4}[0-9]){6}')
            then regexp_replace(regexp_replace(regexp_replace(text, '[^\s@"<>(),;:]+(?:@|\s?[(\[]at[)\]]\s?)[^\s@"<>(),;:]*[\pL\pN]', '***', 'g'), '(^|[^[:alnum:]#_./+-])(?:[(]?[+][(]?[1-9][0-9]{0,3}[)]?[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?[(]?[0-9](?:(?:[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]|[()]{1,2}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?)?[0-9]){5,13}|00[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?[1-9][0-9]{0,2}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-](?:[(]?[0-9][)]?[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?){6,12}|(?:1[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-])?[(][0-9]{2,5}[)][ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?[0-9]{3,5}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?[0-9]{3,5}|(?:1[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-])?[2-9][0-9]{2}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{3}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{4}|0[1-9][0-9]{1,4}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{3,4}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-]?[0-9]{3,5}|0[1-9][ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{3,4}[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{3,4}|0[1-9](?:[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{2}){4,5}|0[1-9][0-9]{1,4}[ \x{00A0}\x{202F}]?[/-]?[ \x{00A0}\x{202F}]?[0-9]{2,3}(?:[ \x{00A0}\x{202F}][0-9]{2}){2,4})\b', '\1***', 'g'), '((?i:\b(?:call|phone|tel|telephone|mobile|cell|whatsapp|fax|dial|reach|telefon|handy|mobil|anrufen|telefono|teléfono|téléphone|appelez|portable|móvil|celular)(?:[\s.:=-]|me|us|back|on|at|under|number|no|nr|is|my|auf|unter|au|al|nummer|numéro|número)*))(?:[0-9]{9,15}|[0-9]{3,5}(?:[ \x{00A0}\x{202F}./\x{2010}-\x{2013}-][0-9]{3,5}){1,3}|[0-9]{2}(?:[ \x{00A0}\x{202F}][0-9]{2}){3,5})\b', '\1***', 'g')
        else text
    end;
-- The years of an account at a date, as a band; `born` is computed once per account.
create macro tenure(born, day) as
    case
        when born is null or born > day then 'unknown'
        when cast(born + interval 12 month as date) > day then 'under 1 year'
        when cast(born + interval 36 month as date) > day then '1-2 years'
        when cast(born + interval 60 month as date) > day then '3-4 years'
        else '5+ years'
    end;

-- ------------------------------------------------------------------------------------------------ raw and reference

create temp view raw_answers as
select * from read_parquet(getvariable('lake') || '/raw/delighted/survey_responses/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_requests as
select * from read_parquet(getvariable('lake') || '/raw/delighted/survey_requests/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_people as
select * from read_parquet(getvariable('lake') || '/raw/delighted/people/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_unsubscribes as
select * from read_parquet(getvariable('lake') || '/raw/delighted/unsubscribes/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_contacts as
select * from read_parquet(getvariable('lake') || '/raw/salesforce/contact/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_accounts as
select
    id, name, parent_id, owner_id, annual_revenue, number_of_employees, billing_country, type, is_deleted,
    region__c, industry, plan__c, tier__c, customer_since__c, _load_id, _line, null as _fivetran_start
from read_parquet(getvariable('lake') || '/raw/salesforce/account/*/data_0.parquet', union_by_name = true, hive_partitioning = false)
union all
select
    id, name, parent_id, owner_id, annual_revenue, number_of_employees, billing_country, type, is_deleted,
    region__c, industry, plan__c, tier__c, customer_since__c, _load_id, _line, _fivetran_start
from read_parquet(getvariable('lake') || '/raw/salesforce/account_history/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view raw_users as
select * from read_parquet(getvariable('lake') || '/raw/salesforce/user/*/data_0.parquet', union_by_name = true, hive_partitioning = false);
create temp view loads as
select * from read_json(
    getvariable('lake') || '/raw/*/*/*/_load.json',
    hive_partitioning = false,
    columns = {load_id: 'varchar', source_system: 'varchar', lake_source: 'varchar', table_name: 'varchar', file: 'varchar', loaded_at: 'timestamptz', rows: 'bigint', malformed_rows: 'bigint'}
);

create temp table surveys as
select * from read_csv(
    getvariable('reference') || '/surveys.csv', header = true,
    columns = {source_system: 'varchar', source_survey_id: 'varchar', survey_id: 'varchar', survey_name: 'varchar', survey_type: 'varchar', touchpoint: 'varchar', starts_on: 'date', ends_on: 'date'}
);
create temp table exclusions as
select distinct source_system, source_response_id, effect from read_csv(
    getvariable('reference') || '/exclusions.csv', header = true, all_varchar = true
);
create temp table staff_domains as
select lower(trim(domain)) as email_domain
from read_csv(getvariable('reference') || '/staff_domains.csv', header = true, columns = {domain: 'varchar', why: 'varchar'});

-- ------------------------------------------------------------------------------------------------ merges

create temp table account_merges as
select id as merged_id, trim(master_record_id) as survivor_id
from read_parquet(getvariable('lake') || '/raw/salesforce/account/*/data_0.parquet', union_by_name = true, hive_partitioning = false)
where trim(master_record_id) <> ''
qualify row_number() over (partition by id order by _load_id desc, _line desc) = 1;
create temp table contact_merges as
select id as merged_id, trim(master_record_id) as survivor_id
from raw_contacts
where trim(master_record_id) <> ''
qualify row_number() over (partition by id order by _load_id desc, _line desc) = 1;

-- ------------------------------------------------------------------------------------------------ accounts

create table work.account_history as
with lost as (
    select id, _load_id, _line, _fivetran_start
    from raw_accounts
    semi join (select id, _fivetran_start from raw_accounts group by all having count(*) > 1) as again
        on raw_accounts.id = again.id and raw_accounts._fivetran_start is not distinct from again._fivetran_start
    qualify row_number() over (partition by raw_accounts.id, _fivetran_start order by _load_id desc, _line desc) > 1
),

latest as (
    select
        *,
        case
            when regexp_matches(_fivetran_start, ':[0-9]{2}([.][0-9]+)?\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)\s*$')
                then timezone('UTC', try_cast(_fivetran_start as timestamptz))
            else try_cast(_fivetran_start as timestamp)
        end as changed
    from raw_accounts
    anti join lost
        on
            raw_accounts.id = lost.id and raw_accounts._load_id = lost._load_id and raw_accounts._line = lost._line
            and raw_accounts._fivetran_start is not distinct from lost._fivetran_start
),

versions as (
    select *, coalesce(changed, timestamp '1900-01-01') as changed_at
    from latest
    where changed is not null
    union all
    select *, timestamp '1900-01-01' as changed_at
    from latest
    where changed is null and id not in (select id from latest where changed is not null and id is not null)
)

select
    id as account_id,
    name as account_name,
    parent_id as parent_account_id,
    owner_id,
    try_cast(annual_revenue as decimal(18, 2)) as annual_revenue,
    try_cast(number_of_employees as bigint) as employees,
    billing_country as country,
    coalesce(nullif(lower(trim(type)), '') in ('customer', 'customer - direct', 'customer - channel', 'evangelist'), true) as is_customer,
    lower(is_deleted) = 'true' as is_deleted,
    filled(region__c) as region,
    filled(industry) as industry,
    filled(plan__c) as plan,
    filled(tier__c) as tier,
    try_cast(customer_since__c as date) as born,
    case when row_number() over account = 1 then timestamp '1900-01-01' else changed_at end as valid_from,
    coalesce(lead(changed_at) over account, timestamp '9999-12-31') as valid_to,
    lead(changed_at) over account is null as is_current
from versions
window account as (partition by id order by changed_at);

create table marts.dim_account_history as
select account_id, valid_from, valid_to, is_current, owner_id, region, industry, plan, tier, annual_revenue,
    is_customer and not coalesce(is_deleted, false) as is_customer
from work.account_history
anti join account_merges on work.account_history.account_id = account_merges.merged_id;

-- ------------------------------------------------------------------------------------------------ people

create table work.contacts as
with lost as (
    select id, _load_id, _line
    from raw_contacts
    semi join (select id from raw_contacts group by id having count(*) > 1) as again using (id)
    qualify row_number() over (partition by id order by _load_id desc, _line desc) > 1
)

select
    raw_contacts.id as contact_id,
    contact_merges.survivor_id,
    coalesce(account_merges.survivor_id, nullif(raw_contacts.account_id, '')) as account_id,
    nullif(lower(trim(email)), '') as contact_email,
    title as job_title,
    coalesce(lower(has_opted_out_of_email) = 'true', false) as has_opted_out,
    coalesce(lower(reference_consent__c) = 'true', false) as has_reference_consent,
    coalesce(lower(is_deleted) = 'true', false) as is_deleted
from raw_contacts
anti join lost using (id, _load_id, _line)
left join contact_merges on raw_contacts.id = contact_merges.merged_id
left join account_merges on raw_contacts.account_id = account_merges.merged_id;

update work.contacts set account_id = coalesce(survivors.account_id, work.contacts.account_id)
from work.contacts as survivors
where work.contacts.survivor_id = survivors.contact_id;

create table work.respondents as
with lost as (
    select id, _load_id, _line
    from raw_people
    semi join (select id from raw_people group by id having count(*) > 1) as again using (id)
    qualify row_number() over (partition by id order by _load_id desc, _line desc) > 1
),

-- An address that two contacts share resolves to the one that is not deleted, to the one not merged, to the older key.
shared as (
    select rowid as contact_no
    from work.contacts
    semi join (select contact_email from work.contacts group by contact_email having count(*) > 1) as again
        using (contact_email)
    qualify
        row_number() over (
            partition by contact_email
            order by is_deleted and survivor_id is null, survivor_id is not null, contact_id
        ) > 1
),

by_email as (
    select rowid as contact_no, contact_id, survivor_id, account_id, contact_email
    from work.contacts
    anti join shared on work.contacts.rowid = shared.contact_no
),

people as (
    select id, nullif(lower(trim(email)), '') as contact_email
    from raw_people
    anti join lost using (id, _load_id, _line)
    where id is not null
)

select
    people.id as source_contact_id,
    by_email.contact_no,
    coalesce(
        by_email.survivor_id,
        by_email.contact_id,
        'email:' || left(sha256(getvariable('contact_salt') || ':' || people.contact_email), 16),
        'delighted:' || left(sha256(getvariable('contact_salt') || ':' || lower(trim(people.id))), 16)
    ) as contact_id,
    by_email.account_id,
    case
        when by_email.contact_no is null then 'none'
        when by_email.survivor_id is not null then 'email_merged'
        else 'email'
    end as match_rule,
    staff_domains.email_domain is not null as is_staff
from people
left join by_email on people.contact_email = by_email.contact_email
left join staff_domains on lower(split_part(people.contact_email, '@', 2)) = staff_domains.email_domain;

create table marts.dim_contacts as
with matched as (
    select contact_id, max(account_id) as account_id, max(match_rule) as match_rule, bool_or(is_staff) as is_staff
    from work.respondents
    where contact_no is not null
    group by contact_id
)

select
    contacts.contact_id,
    coalesce(contacts.account_id, matched.account_id) as account_id,
    contacts.job_title,
    coalesce(matched.match_rule, 'not_surveyed') as match_rule,
    true as is_in_crm,
    coalesce(matched.is_staff, false) as is_staff,
    contacts.has_opted_out,
    contacts.has_reference_consent,
    contacts.is_deleted
from work.contacts as contacts
left join matched on contacts.contact_id = matched.contact_id
where contacts.survivor_id is null
union all
select contact_id, null, null, 'none', false, bool_or(is_staff), false, false, false
from work.respondents
where contact_no is null
group by contact_id;

create table marts.dim_owners as
select id as owner_id, nullif(manager_id, '') as manager_id, title as job_title, coalesce(lower(is_active) = 'true', false) as is_active
from raw_users
qualify row_number() over (partition by id order by _load_id desc, _line desc) = 1;

create table marts.dim_surveys as
select
    survey_id, min(survey_name) as survey_name, min(survey_type) as survey_type, min(touchpoint) as touchpoint,
    count(*) as source_surveys
from surveys
group by survey_id;

-- ------------------------------------------------------------------------------------------------ answers

create temp table superfluous as
with again as (
    select coalesce(nullif(trim(id), ''), _row_hash) as source_response_id
    from raw_answers
    group by all
    having count(*) > 1
),

deliveries as (
    select
        source_response_id,
        _load_id,
        _line,
        _row_hash <> first_value(_row_hash) over (
            partition by source_response_id order by epoch_second(updated_at) desc nulls last, _load_id desc, _line desc
        ) as is_superseded,
        row_number() over (partition by source_response_id, _row_hash order by _load_id, _line) > 1 as is_duplicate
    from raw_answers
    inner join again on coalesce(nullif(trim(raw_answers.id), ''), raw_answers._row_hash) = again.source_response_id
)

select * from deliveries
where is_superseded or is_duplicate;

-- Texts with few distinct values are taken apart once each.
create temp table properties as
with texts as (
    select distinct person_properties from raw_answers
    where json_valid(person_properties)
)

select
    person_properties,
    json_extract_string(person_properties, '$."survey"') as source_survey_id,
    json_extract_string(person_properties, '$."language"') as language,
    json_extract_string(person_properties, '$."agent"') as agent,
    json_extract_string(person_properties, '$."ticket"') as ticket_id
from texts;

create temp table scores as
with texts as (
    select distinct score from raw_answers
    where score is not null
)

select
    score,
    case when regexp_matches(score, '^\s*[+-]?[0-9]{1,15}([.][0-9]{0,15})?\s*$') then cast(trim(score) as double) end as number
from texts;

create table work.answers as
with typed as (
    select
        coalesce(nullif(trim(id), ''), _row_hash) as source_response_id,
        person,
        lower(trim(survey_type)) as score_type,
        score,
        comment,
        person_properties,
        survey_request,
        contains(lower(tags), 'test') and regexp_matches(lower(tags), '(^|[^a-z])test([^a-z]|$)') as is_test,
        epoch_second(created_at) as submitted_at,
        _load_id,
        _loaded_at,
        _file,
        _line
    from raw_answers
)

select
    typed.source_response_id,
    surveys.survey_id,
    surveys.survey_type,
    surveys.touchpoint,
    respondents.contact_id,
    respondents.account_id,
    typed.survey_request as source_invitation_id,
    typed.person,
    properties.source_survey_id,
    typed.score as score_text,
    cast(scores.number as integer) as score,
    typed.comment,
    properties.language,
    nullif(trim(properties.agent), '') as agent,
    nullif(trim(properties.ticket_id), '') as ticket_id,
    coalesce(respondents.match_rule, 'anonymous') as contact_match_rule,
    typed.submitted_at,
    typed._load_id as load_id,
    typed._loaded_at as loaded_at,
    typed._file as source_file,
    typed._line as source_line,
    case
        when superfluous.is_duplicate then 'duplicate'
        when superfluous.is_superseded then 'superseded'
        when typed.score_type is null or typed.score_type <> 'nps' then 'not_nps'
        when typed.is_test then 'test'
        when respondents.is_staff then 'staff'
        when surveys.survey_id is null then 'unknown_survey'
        when typed.score is null or trim(typed.score) = '' then 'missing_score'
        when scores.number is null or scores.number <> floor(scores.number) then 'not_integer'
        when scores.number not between 0 and 10 then 'out_of_range'
        when typed.submitted_at is null then 'invalid_time'
        when typed.submitted_at < timestamp '2000-01-01' then 'invalid_time'
        when typed.submitted_at > typed._loaded_at + interval 24 hour then 'invalid_time'
        when excluded.source_response_id is not null then 'excluded_by_steward'
        else 'counted'
    end as decision
from typed
left join properties on typed.person_properties = properties.person_properties
left join surveys on surveys.source_system = 'delighted' and properties.source_survey_id = surveys.source_survey_id
left join scores on typed.score = scores.score
left join work.respondents as respondents on typed.person = respondents.source_contact_id
left join superfluous
    on
        typed.source_response_id = superfluous.source_response_id
        and typed._load_id = superfluous._load_id and typed._line = superfluous._line
left join exclusions as excluded
    on
        excluded.source_system = 'delighted' and excluded.effect = 'exclude'
        and typed.source_response_id = excluded.source_response_id;

-- The same person answering the same survey again within hours has corrected themselves.
update work.answers set decision = 'duplicate'
where rowid in (
    with again as (
        select contact_id, survey_id
        from work.answers
        where decision = 'counted' and contact_id is not null
        group by contact_id, survey_id
        having count(*) > 1
    )

    select answers.rowid
    from work.answers as answers
    inner join again on answers.contact_id = again.contact_id and answers.survey_id = again.survey_id
    where answers.decision = 'counted'
    qualify
        lead(answers.submitted_at) over (
            partition by answers.contact_id, answers.survey_id order by answers.submitted_at, answers.source_response_id
        ) <= answers.submitted_at + interval 24 hour
);

create table marts.response_eligibility as
select
    'delighted:' || source_response_id as response_id, 'delighted' as source_system, source_response_id, decision,
    case when regexp_matches(score_text, '@|[0-9]{7}|\pL\s+\pL') then '***' else score_text end as score_text,
    submitted_at, survey_id, load_id, loaded_at, source_file, source_line
from work.answers;

-- ------------------------------------------------------------------------------------------------ invitations

create temp table lost_requests as
select id, _load_id, _line
from raw_requests
semi join (select id from raw_requests group by id having count(*) > 1) as again using (id)
qualify row_number() over (partition by id order by _load_id desc, _line desc) > 1;

-- The answered invitations: the few that were answered twice are ranked, and only they.
create table work.answered as
with pairs as (
    select
        raw_requests.id as source_invitation_id,
        raw_requests.channel,
        answers.rowid as answer_no,
        answers.source_response_id,
        answers.submitted_at,
        answers.decision = 'counted' as is_counted
    from raw_requests
    anti join lost_requests using (id, _load_id, _line)
    inner join work.answers as answers on raw_requests.id = answers.source_invitation_id
    where answers.decision in ('counted', 'partial')
)

select * from pairs;

delete from work.answered
where answer_no in (
    select answer_no from work.answered
    semi join (select source_invitation_id from work.answered group by source_invitation_id having count(*) > 1) as again
        using (source_invitation_id)
    qualify
        row_number() over (
            partition by source_invitation_id order by is_counted desc, submitted_at desc, source_response_id
        ) > 1
);

-- The business day of a time, by quarter of an hour: a time zone's rules are dear to apply to every row.
create temp table days as
with quarters as (
    select distinct epoch_us(epoch_second(created_at)) // 900000000 as quarter from raw_requests
    union
    select distinct epoch_us(submitted_at) // 900000000 from work.answers
)

select quarter, cast(timezone('America/New_York', timezone('UTC', make_timestamp(quarter * 900000000))) as date) as day
from quarters
where quarter is not null;

create table work.opt_outs as
select respondents.contact_id, min(epoch_second(unsubscribed_at)) as opted_out_at
from raw_unsubscribes
inner join work.respondents as respondents on raw_unsubscribes.person_id = respondents.source_contact_id
group by respondents.contact_id;

create table marts.fct_survey_invitations as
with asked as (
    select
        id,
        person,
        survey,
        channel,
        epoch_second(created_at) as sent_at,
        -- What was opened, begun or answered arrived, whatever the tool says.
        coalesce(
            epoch_second(delivered_at),
            case
                when
                    epoch_second(opened_at) is not null or epoch_second(started_at) is not null
                    or id in (select source_invitation_id from work.answered)
                    then epoch_second(created_at)
            end
        ) as delivered_at,
        epoch_second(opened_at) as opened_at,
        epoch_second(started_at) as started_at
    from raw_requests
    anti join lost_requests using (id, _load_id, _line)
),

spaced as (
    select
        asked.id,
        lag(asked.sent_at) over (partition by respondents.contact_id order by asked.sent_at, asked.id) as any_at,
        lag(asked.sent_at) over (
            partition by respondents.contact_id, surveys.survey_type order by asked.sent_at, asked.id
        ) as of_type_at
    from asked
    inner join surveys on surveys.source_system = 'delighted' and asked.survey = surveys.source_survey_id
    inner join work.respondents as respondents on asked.person = respondents.source_contact_id
    where asked.delivered_at is not null
)

select
    'delighted:' || asked.id as invitation_id,
    'delighted' as source_system,
    surveys.survey_id,
    surveys.survey_type,
    coalesce(surveys.touchpoint, 'unknown') as touchpoint,
    coalesce(asked.channel, 'unknown') as channel,
    respondents.contact_id,
    respondents.account_id,
    coalesce(respondents.match_rule, 'anonymous') as contact_match_rule,
    case when respondents.account_id is null then 'none' else 'contact' end as account_match_rule,
    asked.sent_at,
    days.day as sent_date,
    asked.delivered_at,
    asked.opened_at,
    asked.started_at,
    answered.submitted_at as responded_at,
    'delighted:' || answered.source_response_id as response_id,
    case
        when
            respondents.is_staff
            or coalesce(days.day < surveys.starts_on, false) or coalesce(days.day > surveys.ends_on, false)
            then 'ineligible'
        when answered.is_counted then 'answered'
        when not answered.is_counted then 'partial'
        when asked.delivered_at is null then 'bounced'
        when opt_outs.opted_out_at >= asked.sent_at and opt_outs.opted_out_at < asked.sent_at + interval 720 hour then 'opted_out'
        else 'silent'
    end as outcome,
    case
        when spaced.id is not null
            then
                coalesce(opt_outs.opted_out_at > asked.sent_at, true)
                and coalesce(asked.sent_at >= spaced.any_at + interval 72 hour, true)
                and coalesce(
                    asked.sent_at
                    >= spaced.of_type_at + if(surveys.survey_type = 'relationship', interval 2160 hour, interval 336 hour),
                    true
                )
    end as is_within_contact_rules,
    coalesce(accounts.region, 'unknown') as region,
    coalesce(accounts.industry, 'unknown') as industry,
    coalesce(accounts.plan, 'unknown') as plan,
    coalesce(accounts.tier, 'unknown') as tier,
    tenure(accounts.born, days.day) as tenure_band
from asked
inner join surveys on surveys.source_system = 'delighted' and asked.survey = surveys.source_survey_id
inner join days on epoch_us(asked.sent_at) // 900000000 = days.quarter
left join work.respondents as respondents on asked.person = respondents.source_contact_id
left join work.answered as answered on asked.id = answered.source_invitation_id
left join work.opt_outs as opt_outs on respondents.contact_id = opt_outs.contact_id
left join spaced on asked.id = spaced.id
left join work.account_history as accounts
    on
        respondents.account_id = accounts.account_id
        and asked.sent_at >= accounts.valid_from and asked.sent_at < accounts.valid_to;

-- ------------------------------------------------------------------------------------------------ names in comments

create temp table names as
select distinct
    trim(regexp_replace(name, '\s+', ' ', 'g')) as person_name,
    nullif(lower(trim(email)), '') as contact_email
from (
    select name, email from raw_people
    union all
    select name, email from raw_unsubscribes
    union all
    select name, email
    from read_parquet(getvariable('lake') || '/raw/delighted/bounces/*/data_0.parquet', union_by_name = true, hive_partitioning = false)
    union all
    select name, email from raw_contacts
    union all
    select name, email from raw_users
)
where trim(name) <> '';

create temp table hidden_comments as
with commented as (
    select rowid as answer_no, person, comment from work.answers
    where decision = 'counted' and comment is not null
),

runs as (
    select
        answer_no,
        string_split_regex(
            unnest(regexp_extract_all(
                comment,
                '\p{Lu}[\p{L}\p{M}''’.-]*(?:\s+(?:(?:al|bin|da|de|del|den|der|di|dos|la|le|ter|van|von|zu)\b|\p{Lu}[\p{L}\p{M}''’.-]*))+'
            )), '\s+'
        ) as words
    from commented
),

phrases as (
    select answer_no, regexp_replace(array_to_string(words[first_word:last_word], ' '), '([''’]s)?[.''’-]*$', '') as phrase
    from (
        select *, unnest(generate_series(first_word + 1, least(first_word + 3, len(words)))) as last_word
        from (select *, unnest(generate_series(1, len(words) - 1)) as first_word from runs)
    )
),

own as (
    select commented.answer_no, commented.comment, names.person_name
    from commented
    inner join (select distinct id, nullif(lower(trim(email)), '') as contact_email from raw_people) as people on commented.person = people.id
    inner join names using (contact_email)
),

found as (
    select answer_no, phrase as words from phrases
    semi join (select distinct lower(person_name) as known from names) as known_names on lower(phrase) = known
    union
    select answer_no, person_name from own
    where contains(lower(comment), lower(person_name))
    union
    select answer_no, part
    from (select answer_no, comment, unnest(string_split(person_name, ' ')) as part from own)
    where length(part) > 1 and contains(comment, part)
),

named as (
    select
        answer_no,
        '(^|[^\pL])(?:' || string_agg(
            case when words like '% %' then '(?i:' else '(?:' end || replace(regexp_escape(words), '\ ', '\s+') || ')', '|'
            order by length(words) desc, words
        ) || ')($|[^\pL])' as expression
    from found
    group by answer_no
)

select answer_no, comment
from (
    select
        commented.answer_no,
        commented.comment as delivered,
        without_contact_details(case
            when named.expression is null then commented.comment
            else regexp_replace(regexp_replace(commented.comment, named.expression, '\1***\2', 'g'), named.expression, '\1***\2', 'g')
        end) as comment
    from commented
    left join named using (answer_no)
)
where comment <> delivered;

-- ------------------------------------------------------------------------------------------------ the fact

create table marts.fct_nps_responses as
with counted as not materialized (
    select answers.rowid as answer_no, answers.*, days.day as response_date
    from work.answers as answers
    inner join days on epoch_us(answers.submitted_at) // 900000000 = days.quarter
    where answers.decision = 'counted'
),

-- Ranked without the wide columns, and only first answers have none before them.
previous as (
    select
        answer_no,
        lag(score) over ladder as previous_score,
        lag(response_date) over ladder as previous_date
    from counted
    where contact_id is not null
    window ladder as (partition by contact_id, survey_type order by submitted_at, source_response_id)
    qualify previous_date is not null
)

select
    'delighted:' || counted.source_response_id as response_id,
    'delighted' as source_system,
    counted.source_response_id,
    counted.survey_id,
    counted.survey_type,
    coalesce(counted.touchpoint, 'unknown') as touchpoint,
    coalesce(answered.channel, 'unknown') as channel,
    'delighted:' || answered.source_invitation_id as invitation_id,
    counted.contact_id,
    counted.account_id,
    counted.contact_match_rule,
    case when counted.account_id is null then 'none' else 'contact' end as account_match_rule,
    accounts.owner_id,
    counted.ticket_id,
    coalesce(
        counted.agent, case counted.touchpoint when 'invoice' then 'billing' when 'onboarding' then 'onboarding' end
    ) as handled_by,
    counted.submitted_at,
    counted.response_date,
    counted.score,
    category(counted.score) as category,
    case when counted.score >= 9 then 100 when counted.score >= 7 then 0 else -100 end as nps_contribution,
    marks.source_response_id is null as is_controllable,
    coalesce(hidden_comments.comment, counted.comment) as comment,
    coalesce(counted.language, 'unknown') as language,
    coalesce(accounts.region, 'unknown') as region,
    coalesce(accounts.industry, 'unknown') as industry,
    coalesce(accounts.plan, 'unknown') as plan,
    coalesce(accounts.tier, 'unknown') as tier,
    tenure(accounts.born, counted.response_date) as tenure_band,
    previous.previous_score,
    category(previous.previous_score) as previous_category,
    cast(date_diff('day', previous.previous_date, counted.response_date) as integer) as days_since_previous,
    counted.loaded_at
from counted
left join work.answered as answered on counted.answer_no = answered.answer_no
left join previous on counted.answer_no = previous.answer_no
left join hidden_comments on counted.answer_no = hidden_comments.answer_no
left join exclusions as marks
    on
        marks.source_system = 'delighted' and marks.effect = 'outside_control'
        and counted.source_response_id = marks.source_response_id
left join work.account_history as accounts
    on
        counted.account_id = accounts.account_id
        and counted.submitted_at >= accounts.valid_from and counted.submitted_at < accounts.valid_to;

create table marts.dim_accounts as
with orphans as (
    select account_id
    from work.respondents
    anti join work.account_history using (account_id)
    where account_id is not null
),

all_accounts as (
    select account_id from work.account_history
    anti join account_merges on work.account_history.account_id = account_merges.merged_id
    where is_current
    union
    select account_id from orphans
)

select
    all_accounts.account_id,
    coalesce(accounts.account_name, all_accounts.account_id) as account_name,
    nullif(coalesce(account_merges.survivor_id, accounts.parent_account_id), all_accounts.account_id) as parent_account_id,
    accounts.owner_id,
    coalesce(accounts.region, 'unknown') as region,
    coalesce(accounts.industry, 'unknown') as industry,
    coalesce(accounts.plan, 'unknown') as plan,
    coalesce(accounts.tier, 'unknown') as tier,
    accounts.country,
    accounts.annual_revenue,
    accounts.employees,
    accounts.account_id is not null as is_in_crm,
    coalesce(accounts.is_customer, true) as is_customer,
    coalesce(accounts.is_deleted, false) as is_deleted
from all_accounts
left join work.account_history as accounts on all_accounts.account_id = accounts.account_id and accounts.is_current
left join account_merges on accounts.parent_account_id = account_merges.merged_id;

-- ------------------------------------------------------------------------------------------------ quality

create table quality.quality_matching as
with matched as (
    select 'answers' as fact, source_system, survey_id, contact_match_rule, account_match_rule, count(*) as records
    from marts.fct_nps_responses
    group by all
    union all
    select 'invitations', source_system, survey_id, contact_match_rule, account_match_rule, count(*)
    from marts.fct_survey_invitations
    group by all
)

select
    source_system, survey_id, fact, contact_match_rule, account_match_rule, records,
    rate(records, sum(records) over (partition by source_system, survey_id, fact)) as share
from matched;

create table quality.quality_reconciliation as
with decided as (
    select load_id, decision, count(*) as answers from work.answers
    group by load_id, decision
),

by_load as (
    select
        load_id,
        sum(answers) as decided_rows,
        sum(answers) filter (decision = 'counted') as counted,
        sum(answers) filter (decision = 'missing_score') as missing_score,
        sum(answers) filter (decision = 'not_integer') as not_integer,
        sum(answers) filter (decision = 'out_of_range') as out_of_range,
        sum(answers) filter (decision = 'not_nps') as not_nps,
        sum(answers) filter (decision = 'partial') as partial,
        sum(answers) filter (decision = 'test') as test,
        sum(answers) filter (decision = 'staff') as staff,
        sum(answers) filter (decision = 'duplicate') as duplicate,
        sum(answers) filter (decision = 'superseded') as superseded,
        sum(answers) filter (decision = 'withdrawn') as withdrawn,
        sum(answers) filter (decision = 'excluded_by_steward') as excluded_by_steward,
        sum(answers) filter (decision = 'unknown_survey') as unknown_survey,
        sum(answers) filter (decision = 'invalid_time') as invalid_time,
        sum(answers) filter (decision = 'forgotten') as forgotten
    from decided
    group by load_id
)

select
    loads.source_system,
    loads.load_id,
    loads.file as source_file,
    cast(loads.loaded_at as timestamp) as loaded_at,
    loads.rows + loads.malformed_rows as delivered_rows,
    cast(coalesce(columns(by_load.* exclude (load_id, decided_rows)), 0) as bigint),
    loads.malformed_rows as malformed,
    cast(loads.rows - coalesce(by_load.decided_rows, 0) as bigint) as difference
from loads
left join by_load on loads.load_id = by_load.load_id
where loads.lake_source = 'delighted' and loads.table_name = 'survey_responses';

-- The rules of the measured history are of keys alone, and their reasons name nobody.
create table quality.quality_exclusions as
with lines as (
    select distinct
        left(md5(concat_ws('|', source_system, source_response_id, '', '', '', '', effect)), 16) as exclusion_id,
        * exclude (approved_by)
    from read_csv(
        getvariable('reference') || '/exclusions.csv', header = true,
        columns = {source_system: 'varchar', source_response_id: 'varchar', field: 'varchar', pattern: 'varchar', starts_on: 'date', ends_on: 'date', effect: 'varchar', reason: 'varchar', approved_by: 'varchar', approved_on: 'date'}
    )
),

met as (
    select
        source_response_id,
        category(score) as category,
        submitted_at,
        if(decision = 'excluded_by_steward', 'exclude', if(decision = 'counted', 'outside_control', null)) as effect
    from work.answers
    where source_response_id in (select source_response_id from lines)
)

select
    lines.*,
    count(met.source_response_id) as rows_met,
    count(*) filter (met.effect = lines.effect) as responses,
    count(*) filter (met.effect = lines.effect and met.category = 'promoter') as promoters,
    count(*) filter (met.effect = lines.effect and met.category = 'passive') as passives,
    count(*) filter (met.effect = lines.effect and met.category = 'detractor') as detractors,
    max(met.submitted_at) filter (met.effect = lines.effect) as last_submitted_at
from lines
left join met on lines.source_response_id = met.source_response_id
group by all;

create table quality.quality_quarantine as
with rejected as (
    select 'delighted' as source_system, load_id, loaded_at, source_file, source_line, decision as reason, source_survey_id
    from work.answers
    where decision in ('not_integer', 'out_of_range', 'unknown_survey', 'invalid_time')
),

all_rejected as (
    select
        rejected.*,
        cast(json_object(
            'id', id, 'person', person, 'survey_type', survey_type,
            'score', case when regexp_matches(score, '@|[0-9]{7}|\pL\s+\pL') then '***' else score end,
            'created_at', created_at, 'updated_at', updated_at, 'survey_request', survey_request, 'permalink', permalink,
            'tags', tags, '_fivetran_deleted', null
        ) as varchar) as raw_row
    from raw_answers
    inner join rejected on raw_answers._load_id = rejected.load_id and raw_answers._line = rejected.source_line
    union all
    select
        raw_requests._source_system, raw_requests._load_id, raw_requests._loaded_at, raw_requests._file, raw_requests._line,
        case when surveys.survey_id is null then 'unknown_survey' else 'invalid_time' end,
        raw_requests.survey,
        cast(json_object(
            'id', id, 'person', person, 'survey', survey, 'channel', channel, 'created_at', created_at,
            'delivered_at', delivered_at, 'opened_at', opened_at, 'started_at', started_at
        ) as varchar)
    from raw_requests
    anti join lost_requests using (id, _load_id, _line)
    left join surveys on surveys.source_system = 'delighted' and raw_requests.survey = surveys.source_survey_id
    where surveys.survey_id is null or epoch_second(raw_requests.created_at) is null
    union all
    select _source_system, _load_id, _loaded_at, _file, _line, 'malformed_row: ' || reason, null, null
    from read_parquet(getvariable('lake') || '/raw/*/*/*/malformed_0.parquet', union_by_name = true, hive_partitioning = false)
)

select
    source_system, load_id, loaded_at, source_file, source_line, reason, source_survey_id,
    without_contact_details(raw_row) as raw_row
from all_rejected;

-- ------------------------------------------------------------------------------------------------ counts

-- Two cubes of low cardinality instead of one pass per segment; their counts are of one type for both facts.
create table work.cube_accounts as
select
    survey_type, sent_date as count_date, region, industry, plan,
    count(*) filter (outcome <> 'ineligible') as invited,
    count(*) filter (outcome <> 'ineligible' and delivered_at is not null) as delivered,
    count(*) filter (outcome <> 'ineligible' and opened_at is not null) as opened,
    count(*) filter (outcome <> 'ineligible' and started_at is not null) as started,
    count(*) filter (outcome = 'answered') as answered,
    count(*) filter (outcome = 'partial') as partial,
    count(*) filter (outcome = 'silent' and started_at is not null) as broke_off,
    count(*) filter (outcome = 'opted_out') as opted_out,
    count(*) filter (outcome = 'bounced') as bounced,
    count(*) filter (outcome = 'ineligible') as ineligible,
    0 as responses, 0 as promoters, 0 as passives, 0 as detractors,
    0 as controllable_promoters, 0 as controllable_passives, 0 as controllable_detractors
from marts.fct_survey_invitations
group by all
union all
select
    survey_type, response_date, region, industry, plan, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    count(*), count(*) filter (score >= 9), count(*) filter (score between 7 and 8), count(*) filter (score < 7),
    count(*) filter (score >= 9 and is_controllable), count(*) filter (score between 7 and 8 and is_controllable),
    count(*) filter (score < 7 and is_controllable)
from marts.fct_nps_responses
group by all;

create table work.cube_surveys as
select
    survey_type, sent_date as count_date, tier, tenure_band, touchpoint, channel, null as language,
    count(*) filter (outcome <> 'ineligible') as invited,
    count(*) filter (outcome <> 'ineligible' and delivered_at is not null) as delivered,
    count(*) filter (outcome <> 'ineligible' and opened_at is not null) as opened,
    count(*) filter (outcome <> 'ineligible' and started_at is not null) as started,
    count(*) filter (outcome = 'answered') as answered,
    count(*) filter (outcome = 'partial') as partial,
    count(*) filter (outcome = 'silent' and started_at is not null) as broke_off,
    count(*) filter (outcome = 'opted_out') as opted_out,
    count(*) filter (outcome = 'bounced') as bounced,
    count(*) filter (outcome = 'ineligible') as ineligible,
    0 as responses, 0 as promoters, 0 as passives, 0 as detractors,
    0 as controllable_promoters, 0 as controllable_passives, 0 as controllable_detractors
from marts.fct_survey_invitations
group by all
union all
select
    survey_type, response_date, tier, tenure_band, touchpoint, channel, language, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    count(*), count(*) filter (score >= 9), count(*) filter (score between 7 and 8), count(*) filter (score < 7),
    count(*) filter (score >= 9 and is_controllable), count(*) filter (score between 7 and 8 and is_controllable),
    count(*) filter (score < 7 and is_controllable)
from marts.fct_nps_responses
group by all;

create table work.daily as
with account_segments as (
    select
        survey_type, count_date,
        case
            when grouping(region) = 0 then 'region'
            when grouping(industry) = 0 then 'industry'
            when grouping(plan) = 0 then 'plan'
            else 'all'
        end as segment,
        coalesce(region, industry, plan, 'all') as segment_value,
        cast(sum(columns(* exclude (survey_type, count_date, region, industry, plan))) as bigint)
    from work.cube_accounts
    group by grouping sets ((survey_type, count_date, region), (survey_type, count_date, industry), (survey_type, count_date, plan), (survey_type, count_date))
),

survey_segments as (
    select
        survey_type, count_date,
        case
            when grouping(tier) = 0 then 'tier'
            when grouping(tenure_band) = 0 then 'tenure_band'
            when grouping(touchpoint) = 0 then 'touchpoint'
            when grouping(channel) = 0 then 'channel'
            else 'language'
        end as segment,
        coalesce(tier, tenure_band, touchpoint, channel, language) as segment_value,
        cast(sum(columns(* exclude (survey_type, count_date, tier, tenure_band, touchpoint, channel, language))) as bigint)
    from work.cube_surveys
    group by grouping sets (
        (survey_type, count_date, tier), (survey_type, count_date, tenure_band), (survey_type, count_date, touchpoint),
        (survey_type, count_date, channel), (survey_type, count_date, language)
    )
)

select * from account_segments
union all
-- Nobody knows the language of those who did not answer.
select * replace (
    case when segment <> 'language' then invited end as invited,
    case when segment <> 'language' then delivered end as delivered,
    case when segment <> 'language' then opened end as opened,
    case when segment <> 'language' then started end as started,
    case when segment <> 'language' then answered end as answered,
    case when segment <> 'language' then partial end as partial,
    case when segment <> 'language' then broke_off end as broke_off,
    case when segment <> 'language' then opted_out end as opted_out,
    case when segment <> 'language' then bounced end as bounced,
    case when segment <> 'language' then ineligible end as ineligible
)
from survey_segments
where segment_value is not null;

-- ------------------------------------------------------------------------------------------------ dates and periods

create table marts.dim_dates as
with bounds as (
    select
        date_trunc('year', min(count_date) - interval 12 month) as first_day,
        date_trunc('year', max(count_date)) + interval 24 month as last_day
    from work.daily
),

days as (
    select cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as date_day
    from bounds
),

starts as (
    select
        date_day,
        cast(date_trunc('week', date_day) as date) as week_start,
        cast(date_trunc('month', date_day) as date) as month_start,
        cast(date_trunc('quarter', date_day) as date) as quarter_start,
        cast(date_trunc('year', date_day) as date) as year_start
    from days
)

select
    date_day,
    week_start,
    week_start + 6 as week_end,
    month_start,
    last_day(date_day) as month_end,
    quarter_start,
    cast(quarter_start + interval 3 month as date) - 1 as quarter_end,
    year_start,
    cast(year_start + interval 12 month as date) - 1 as year_end
from starts;

create temp table day_periods as
select
    date_day,
    unnest([
        {'period_grain': 'day', 'period_start': date_day, 'period_end': date_day},
        {'period_grain': 'week', 'period_start': week_start, 'period_end': week_end},
        {'period_grain': 'month', 'period_start': month_start, 'period_end': month_end},
        {'period_grain': 'quarter', 'period_start': quarter_start, 'period_end': quarter_end},
        {'period_grain': 'year', 'period_start': year_start, 'period_end': year_end}
    ], recursive := true)
from marts.dim_dates;

create table work.period_counts as
with cells as (
    select survey_type, segment, segment_value, count(invited) > 0 as has_invitations from work.daily
    group by all
),

spans as (
    select survey_type, min(count_date) as first_date, max(count_date) as last_date from work.daily
    group by survey_type
),

periods as (
    select distinct spans.survey_type, period_grain, period_start, period_end
    from day_periods
    inner join spans on day_periods.date_day between spans.first_date and spans.last_date
),

sums as (
    select
        survey_type, period_grain, period_start, segment, segment_value,
        cast(sum(columns(daily.* exclude (survey_type, count_date, segment, segment_value))) as bigint)
    from work.daily as daily
    inner join day_periods on daily.count_date = day_periods.date_day
    group by survey_type, period_grain, period_start, segment, segment_value
)

select
    periods.survey_type, periods.period_grain, periods.period_start, periods.period_end,
    periods.period_end < (
        select cast(timezone('America/New_York', max(loaded_at)) as date) from loads
    ) as is_complete_period,
    cells.segment, cells.segment_value,
    case when cells.has_invitations then coalesce(sums.invited, 0) end as invited,
    case when cells.has_invitations then coalesce(sums.delivered, 0) end as delivered,
    case when cells.has_invitations then coalesce(sums.opened, 0) end as opened,
    case when cells.has_invitations then coalesce(sums.started, 0) end as started,
    case when cells.has_invitations then coalesce(sums.answered, 0) end as answered,
    case when cells.has_invitations then coalesce(sums.partial, 0) end as partial,
    case when cells.has_invitations then coalesce(sums.broke_off, 0) end as broke_off,
    case when cells.has_invitations then coalesce(sums.opted_out, 0) end as opted_out,
    case when cells.has_invitations then coalesce(sums.bounced, 0) end as bounced,
    case when cells.has_invitations then coalesce(sums.ineligible, 0) end as ineligible,
    coalesce(sums.responses, 0) as responses,
    coalesce(sums.promoters, 0) as promoters,
    coalesce(sums.passives, 0) as passives,
    coalesce(sums.detractors, 0) as detractors,
    coalesce(sums.controllable_promoters, 0) as controllable_promoters,
    coalesce(sums.controllable_passives, 0) as controllable_passives,
    coalesce(sums.controllable_detractors, 0) as controllable_detractors
from periods
inner join cells on periods.survey_type = cells.survey_type
left join sums
    on
        periods.survey_type = sums.survey_type and periods.period_grain = sums.period_grain
        and periods.period_start = sums.period_start and cells.segment = sums.segment
        and cells.segment_value = sums.segment_value;

-- ------------------------------------------------------------------------------------------------ marts of counts

create table marts.nps_overall as
with cells as (
    select
        survey_type, segment, segment_value, min(count_date) as first_date, max(count_date) as last_date,
        cast(sum(columns([
            'invited', 'delivered', 'answered', 'responses', 'promoters', 'passives', 'detractors',
            'controllable_promoters', 'controllable_passives', 'controllable_detractors'
        ])) as bigint)
    from work.daily
    group by survey_type, segment, segment_value
)

select
    * exclude (controllable_promoters, controllable_passives, controllable_detractors),
    case when responses >= 10 then points(nps(promoters, detractors, responses)) end as nps,
    case when responses >= 10 then points(bound(promoters, detractors, responses, -z())) end as ci_low,
    case when responses >= 10 then points(bound(promoters, detractors, responses, z())) end as ci_high,
    rate(answered, delivered) as response_rate,
    evidence(responses) as evidence,
    controllable_promoters + controllable_passives + controllable_detractors as controllable_responses,
    controllable_promoters, controllable_passives, controllable_detractors,
    controllable(controllable_promoters, controllable_passives, controllable_detractors) as controllable_nps
from cells;

-- p of the difference to the window before, and q of Benjamini and Hochberg over the values of one segment.
create temp table compared as
with windows as (
    select
        survey_type, period_grain, period_start, period_end, is_complete_period, segment, segment_value,
        true as is_complete_window,
        invited, delivered, answered, responses, promoters, passives, detractors,
        controllable_promoters, controllable_passives, controllable_detractors,
        lag(promoters) over cell as promoters_0,
        lag(detractors) over cell as detractors_0,
        lag(responses) over cell as responses_0
    from work.period_counts
    window cell as (partition by survey_type, period_grain, segment, segment_value order by period_start)
),

-- Days after a survey type's last, while its answers leave the window.
fading as (
    select
        survey_type, cast(day as date) as period_start, segment, segment_value,
        case when has_invitations then 0 end as invited, case when has_invitations then 0 end as delivered,
        case when has_invitations then 0 end as answered, 0 as responses, 0 as promoters, 0 as passives, 0 as detractors,
        0 as controllable_promoters, 0 as controllable_passives, 0 as controllable_detractors
    from (
        select
            survey_type, segment, segment_value, max(period_start) as last_date, count(invited) > 0 as has_invitations
        from work.period_counts
        where period_grain = 'day'
        group by all
    )
    cross join (
        select least(
            (select max(count_date) from work.daily where responses > 0),
            (select cast(timezone('America/New_York', max(loaded_at)) as date) - 1 from loads)
        ) as last_day
    )
    cross join unnest(
        generate_series(last_date + 1, least(last_date + 89, last_day), interval 1 day)
    ) as days (day)
),

daily_counts as (
    select
        survey_type, period_start, segment, segment_value, invited, delivered, answered, responses, promoters, passives,
        detractors, controllable_promoters, controllable_passives, controllable_detractors
    from work.period_counts
    where period_grain = 'day'
    union all
    from fading
),

sliding as (
    select
        survey_type,
        period_start,
        segment,
        segment_value,
        row_number() over cell >= 90 as is_complete_window,
        cast(sum(invited) over days_90 as bigint) as invited,
        cast(sum(delivered) over days_90 as bigint) as delivered,
        cast(sum(answered) over days_90 as bigint) as answered,
        cast(sum(responses) over days_90 as bigint) as responses,
        cast(sum(promoters) over days_90 as bigint) as promoters,
        cast(sum(passives) over days_90 as bigint) as passives,
        cast(sum(detractors) over days_90 as bigint) as detractors,
        cast(sum(controllable_promoters) over days_90 as bigint) as controllable_promoters,
        cast(sum(controllable_passives) over days_90 as bigint) as controllable_passives,
        cast(sum(controllable_detractors) over days_90 as bigint) as controllable_detractors
    from daily_counts
    window
        cell as (partition by survey_type, segment, segment_value order by period_start),
        days_90 as (partition by survey_type, segment, segment_value order by period_start rows between 89 preceding and current row)
),

all_windows as (
    select * from windows
    union all
    select
        survey_type, 'trailing', period_start - 89, period_start, null, segment, segment_value, is_complete_window,
        invited, delivered, answered, responses, promoters, passives, detractors,
        controllable_promoters, controllable_passives, controllable_detractors,
        lag(case when is_complete_window then promoters end, 90) over cell,
        lag(case when is_complete_window then detractors end, 90) over cell,
        lag(case when is_complete_window then responses end, 90) over cell
    from sliding
    window cell as (partition by survey_type, segment, segment_value order by period_start)
),

with_z as (
    select
        *,
        case
            when responses >= 30 and responses_0 >= 30
                then
                    abs(
                        (theta(promoters, detractors, responses) - theta(promoters_0, detractors_0, responses_0))
                        / sqrt(
                            variance(promoters, detractors, responses) + variance(promoters_0, detractors_0, responses_0)
                        )
                    )
        end as z
    from all_windows
),

tested as (
    select *, 2e0 * normal_tail(z) as p
    from with_z
),

-- Ranks are needed only where there is a p.
ranked as (
    select
        *,
        row_number() over (partition by survey_type, period_grain, period_start, segment order by p) as p_rank,
        count(*) over (partition by survey_type, period_grain, period_start, segment) as family_size
    from tested
    where p is not null
)

select
    *,
    min(p * family_size / p_rank) over (
        partition by survey_type, period_grain, period_start, segment order by p_rank desc
        rows between unbounded preceding and current row
    ) as q
from ranked
union all
select *, null, null, null
from tested
where p is null;

create temp table scored as
select
    *,
    case when responses >= 10 then points(nps(promoters, detractors, responses)) end as nps,
    case when responses >= 10 then points(bound(promoters, detractors, responses, -z())) end as ci_low,
    case when responses >= 10 then points(bound(promoters, detractors, responses, z())) end as ci_high,
    rate(answered, delivered) as response_rate,
    evidence(responses) as evidence,
    controllable_promoters + controllable_passives + controllable_detractors as controllable_responses,
    controllable(controllable_promoters, controllable_passives, controllable_detractors) as controllable_nps,
    case when responses_0 >= 10 then points(nps(promoters_0, detractors_0, responses_0)) end as previous_nps,
    six_digits(p) as p_value,
    six_digits(q) as q_value,
    coalesce(q < 0.05, false) as is_significant
from compared;

create table marts.nps_by_segment_period as
select
    survey_type, period_grain, period_start, period_end, segment, segment_value, is_complete_period,
    invited, delivered, answered, responses, promoters, passives, detractors, nps, ci_low, ci_high, response_rate, evidence,
    controllable_responses, controllable_promoters, controllable_passives, controllable_detractors, controllable_nps,
    previous_nps, cast(nps - previous_nps as decimal(9, 4)) as nps_change, p_value, q_value, is_significant
from scored
where period_grain <> 'trailing';

create table marts.nps_trailing_window as
select
    survey_type, period_start as window_start, period_end as window_end, segment, segment_value, is_complete_window,
    invited, delivered, answered, responses, promoters, passives, detractors, nps, ci_low, ci_high, response_rate, evidence,
    controllable_responses, controllable_promoters, controllable_passives, controllable_detractors, controllable_nps,
    previous_nps, cast(nps - previous_nps as decimal(9, 4)) as nps_change, p_value, q_value, is_significant
from scored
where period_grain = 'trailing';

create table marts.response_funnel as
with cells as (
    select
        *,
        invited - answered - partial - opted_out - bounced - broke_off as silent,
        invited - bounced as eligible
    from work.period_counts
    where invited is not null
)

select
    survey_type, period_grain, period_start, period_end, is_complete_period, segment, segment_value,
    invited, delivered, opened, started, answered, partial, broke_off, opted_out, bounced, ineligible, silent,
    rate(delivered, invited) as delivery_rate,
    case when opened >= answered + partial then rate(opened, delivered) end as open_rate,
    case when started >= answered + partial then rate(started, delivered) end as start_rate,
    rate(answered, delivered) as response_rate,
    case when started >= answered + partial then rate(answered, started) end as completion_rate,
    rate(answered, invited) as aapor_rr1,
    rate(answered + partial, invited) as aapor_rr2,
    rate(answered, eligible + bounced * 1e0 * eligible / nullif(eligible + ineligible, 0)) as aapor_rr3,
    rate(answered + partial, eligible + bounced * 1e0 * eligible / nullif(eligible + ineligible, 0)) as aapor_rr4,
    rate(answered, eligible) as aapor_rr5,
    rate(answered + partial, eligible) as aapor_rr6
from cells;

create table marts.nps_change_decomposition as
with pairs as (
    select
        survey_type, period_grain, period_start, period_end, is_complete_period, segment, segment_value,
        promoters, detractors, responses,
        lag(promoters) over cell as promoters_0,
        lag(detractors) over cell as detractors_0,
        lag(responses) over cell as responses_0
    from work.period_counts
    where period_grain in ('month', 'quarter', 'year')
    window cell as (partition by survey_type, period_grain, segment, segment_value order by period_start)
),

totals as (
    select
        *,
        sum(promoters) over total as total_promoters,
        sum(detractors) over total as total_detractors,
        sum(responses) over total as total_responses,
        sum(promoters_0) over total as total_promoters_0,
        sum(detractors_0) over total as total_detractors_0,
        sum(responses_0) over total as total_responses_0
    from pairs
    window total as (partition by survey_type, period_grain, period_start, segment)
),

with_scores as (
    select
        *,
        1e0 * responses / total_responses as share,
        1e0 * responses_0 / total_responses_0 as share_0,
        coalesce(nps(promoters, detractors, responses), nps(promoters_0, detractors_0, responses_0)) as score,
        coalesce(nps(promoters_0, detractors_0, responses_0), nps(promoters, detractors, responses)) as score_0,
        nps(total_promoters, total_detractors, total_responses) as total_score,
        nps(total_promoters_0, total_detractors_0, total_responses_0) as total_score_0,
        least(total_responses, total_responses_0) >= 10 as is_enough
    from totals
    where total_responses > 0 and total_responses_0 > 0 and responses + responses_0 > 0
)

select
    survey_type, period_grain, period_start, period_end, is_complete_period, segment, segment_value,
    responses,
    responses_0 as previous_responses,
    case when is_enough then points(total_score) end as total_nps,
    case when is_enough then points(total_score_0) end as previous_total_nps,
    case when is_enough then points(total_score - total_score_0) end as total_change,
    case when is_enough then points((share_0 + share) / 2e0 * (score - score_0)) end as rate_effect,
    case when is_enough then points((share - share_0) * (score_0 + score - total_score_0 - total_score) / 2e0) end as mix_effect,
    case when is_enough then points(100e0 * (1e0 * promoters / total_responses - 1e0 * promoters_0 / total_responses_0)) end as promoter_gain,
    case when is_enough then points(100e0 * (1e0 * detractors_0 / total_responses_0 - 1e0 * detractors / total_responses)) end as detractor_loss
from with_scores;

create temp table populations as
select
    *,
    sum(invited) over population as total_invited,
    sum(answered) over population as total_answered,
    sum(responses) over population as total_responses,
    sum(case when responses > 0 then invited else 0 end) over population as covered,
    count(*) over population as segment_values,
    1e0 * answered / invited as propensity,
    1e0 * total_answered / total_invited as total_propensity
from work.period_counts
where period_grain in ('month', 'quarter', 'year') and segment <> 'all' and invited > 0
window population as (partition by survey_type, period_grain, period_start, segment);

create table marts.response_representativeness as
with segments as (
    select
        survey_type, period_grain, period_start, segment,
        min(segment_values) - 1 as degrees_of_freedom,
        1e0 - 2e0 * sqrt(
            sum(invited * (propensity - total_propensity) * (propensity - total_propensity)) / nullif(min(total_invited) - 1, 0)
        ) as r_indicator,
        sum(
            (answered - total_propensity * invited) * (answered - total_propensity * invited)
            / nullif(invited * total_propensity * (1e0 - total_propensity), 0e0)
        ) as chi_square,
        min(least(total_propensity, 1e0 - total_propensity) * invited) >= 1e0
        and (
            count(*) filter (total_propensity * invited < 5e0) + count(*) filter ((1e0 - total_propensity) * invited < 5e0)
        ) <= 0.4 * count(*) as is_testable
    from populations
    group by all
),

steps as (
    select
        step,
        sum(case when step > 1 then ln(step - 1e0) else 0e0 end) over (order by step) as ln_whole,
        0.5723649429247001e0 + sum(ln(step - 0.5e0)) over (order by step) as ln_half
    from (select unnest(generate_series(1, (select max(degrees_of_freedom) from segments) // 2 + 1)) as step)
),

-- Abramowitz and Stegun (1964), 26.4.4 and 26.4.5.
terms as (
    select
        segments.*,
        sum(
            case
                when degrees_of_freedom % 2 = 0 then exp((step - 1e0) * ln(chi_square / 2e0) - chi_square / 2e0 - ln_whole)
                else exp((step - 0.5e0) * ln(chi_square / 2e0) - chi_square / 2e0 - ln_half)
            end
        ) as term_sum
    from segments
    left join steps on steps.step <= floor(segments.degrees_of_freedom / 2e0) and segments.chi_square >= 1e-100
    group by all
),

tails as (
    select
        *,
        case
            when degrees_of_freedom < 1 or chi_square is null then null
            when chi_square < 1e-100 then 1e0
            when degrees_of_freedom % 2 = 0 then term_sum
            else coalesce(term_sum, 0e0) + 2e0 * normal_tail(sqrt(chi_square))
        end as p
    from terms
)

select
    populations.survey_type, populations.period_grain, populations.period_start, populations.period_end,
    populations.is_complete_period, populations.segment, populations.segment_value,
    populations.invited, populations.answered,
    rate(populations.answered, populations.invited) as response_propensity,
    six_digits(populations.propensity / nullif(populations.total_propensity, 0e0)) as relative_propensity,
    six_digits(tails.r_indicator) as r_indicator,
    six_digits(tails.chi_square) as chi_square,
    cast(tails.degrees_of_freedom as integer) as degrees_of_freedom,
    case when tails.is_testable then six_digits(tails.p) end as p_value
from populations
inner join tails using (survey_type, period_grain, period_start, segment);

create table marts.nps_weighted as
with weighted as (
    select
        *,
        (1e0 * invited / covered) / (1e0 * responses / total_responses) as weight
    from populations
    where responses > 0
),

sums as (
    select
        survey_type, period_grain, period_start, period_end, is_complete_period, segment,
        min(total_invited) as population,
        min(covered) as covered,
        sum(promoters) as promoters,
        sum(detractors) as detractors,
        sum(responses) as responses,
        sum(weight * promoters) as weighted_promoters,
        sum(weight * detractors) as weighted_detractors,
        sum(weight * responses) as weight_sum,
        sum(weight * weight * responses) as weight_square_sum
    from weighted
    group by survey_type, period_grain, period_start, period_end, is_complete_period, segment
),

effective as (
    select
        *,
        weight_sum * weight_sum / weight_square_sum as n_eff,
        responses * weight_square_sum / (weight_sum * weight_sum) as design_effect,
        weighted_promoters / weight_sum * n_eff as effective_promoters,
        weighted_detractors / weight_sum * n_eff as effective_detractors
    from sums
)

select
    survey_type, period_grain, period_start, period_end, is_complete_period, segment,
    cast(population as bigint) as population,
    rate(covered, population) as population_covered,
    cast(responses as bigint) as responses,
    case when responses >= 10 then points(nps(promoters, detractors, responses)) end as nps,
    case when responses >= 10 then points(100e0 * (weighted_promoters - weighted_detractors) / weight_sum) end as weighted_nps,
    case when responses >= 10 then points(bound(effective_promoters, effective_detractors, n_eff, -z())) end as ci_low,
    case when responses >= 10 then points(bound(effective_promoters, effective_detractors, n_eff, z())) end as ci_high,
    six_digits(n_eff) as n_eff,
    six_digits(design_effect) as design_effect,
    evidence(responses) as evidence
from effective;

drop schema work cascade;
