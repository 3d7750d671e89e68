{#- How people are recognised, and how what could name them is hidden. -#}

{#- E-mail addresses compare without case and surrounding spaces. -#}
{% macro normalised_email(email) -%}nullif(lower(trim({{ email }})), ''){%- endmacro %}


{#- A respondent of a tool that keeps no people: the contact's id if the link carried it, else the address. -#}
{% macro respondent_of_link(contact_id, email) -%}
    coalesce(nullif(trim({{ contact_id }}), ''), {{ normalised_email(email) }})
{%- endmacro %}


{#- A respondent as one survey tool knows them; never published, since a tool's key may be an e-mail address. -#}
{% macro respondent_key() -%}source_system || ':' || source_contact_id{%- endmacro %}


{#-
    The key of a respondent whom no CRM knows: one person in all tools that name the same address or the same key of
    some CRM. Hashed with a salt, since these and a tool's own key may be an e-mail address, and addresses can be guessed.
-#}
{% macro anonymous_contact_id(contact_email, external_contact_id, source_system, source_contact_id) -%}
    coalesce(
        'email:' || {{ salted_hash(contact_email) }},
        'external:' || {{ salted_hash(external_contact_id) }},
        {{ source_system }} || ':' || {{ salted_hash('lower(trim(' ~ source_contact_id ~ '))') }}
    )
{%- endmacro %}


{#-
    CTEs that end in `contacts_by_email`: of the CTE `contacts`, rows of int_contacts, the one that an address means. One
    that two share resolves to the one that is not deleted (a merged one lives on), then to the one that was not merged,
    then to the older key, so that the same person is the same contact in every run.
-#}
{% macro contacts_by_email_ctes() -%}
shared_addresses as (
    select contact_email
    from contacts
    where contact_email is not null
    group by contact_email
    having count(*) > 1
),

preferred as (
    select
        contacts.contact_id,
        row_number() over (
            partition by contacts.contact_email
            order by
                contacts.is_deleted and contacts.contact_id = contacts.surviving_contact_id,
                contacts.contact_id <> contacts.surviving_contact_id,
                contacts.contact_id
        ) as preference
    from contacts
    inner join shared_addresses on contacts.contact_email = shared_addresses.contact_email
),

second_contacts as (
    select contact_id from preferred
    where preference > 1
),

contacts_by_email as (
    select contacts.*
    from contacts
    left join second_contacts on contacts.contact_id = second_contacts.contact_id
    where second_contacts.contact_id is null and contacts.contact_email is not null
)
{%- endmacro %}


{#-
    CTEs that end in `followed`: each merge of the query `links` (record_type, merged_id and merged_into_id, one per merged
    record) with the record that survives in the end, survivor_id. Chains of up to 2 ^ doublings merges are followed;
    merges_end_at_a_survivor fails when one is longer.
-#}
{% macro followed_merges_ctes(links) -%}
{%- set doublings = 6 %}
{%- set hops %}
    select
        record_type,
        merged_id,
        merged_into_id,
        merged_into_id as reached_id,
        merged_id as least_id
    from (
        {{- links }}
    ) as links
{%- endset %}
{%- set twice_as_far %}
    select
        near.record_type,
        near.merged_id,
        near.merged_into_id,
        coalesce(far.reached_id, near.reached_id) as reached_id,
        least(near.least_id, coalesce(far.least_id, near.least_id)) as least_id
    from previous as near
    left join previous as far on near.record_type = far.record_type and near.reached_id = far.merged_id
{%- endset %}
{{ repeated('hops', hops, twice_as_far, doublings) }},

-- What is reached by then and still was merged lies on a circle, two records each merged into the other. The least key
-- on it survives, so that nobody is lost.
followed as (
    select
        hops.record_type,
        hops.merged_id,
        hops.merged_into_id,
        coalesce(circles.least_id, hops.reached_id) as survivor_id
    from hops
    left join hops as circles on hops.record_type = circles.record_type and hops.reached_id = circles.merged_id
)
{%- endmacro %}


{#- The account of an answer or invitation `asked`; the relations in scope are those of account_match_rule(). -#}
{% macro account_found(asked) -%}
    coalesce(respondents.account_id, account_aliases.account_id, {{ asked }}.source_account_id)
{%- endmacro %}


{#-
    How an answer or invitation `asked` got its account: from its respondent's contact, or by the name it carries, which
    may be an alias. Expects the relations respondents and account_aliases (int_account_aliases) in scope.
-#}
{% macro account_match_rule(asked) -%}
    case
        when respondents.account_id is not null then 'contact'
        when {{ asked }}.source_account_id is null then 'none'
        else coalesce(account_aliases.match_rule, 'named')
    end
{%- endmacro %}


{#- The network address that an answer came from: it is a person's, and leaves staging as a salted hash alone. -#}
{% macro network_hash(address) -%}{{ salted_hash("nullif(lower(trim(" ~ address ~ ")), '')") }}{%- endmacro %}


{#- Was the respondent forgotten? `make forget` gives their keys and addresses in the lake such a token. -#}
{% macro is_forgotten(respondent_key) -%}{{ respondent_key }} like '%:forgotten-%'{%- endmacro %}


{#- The parts of a name as one text; each may be empty. -#}
{% macro name_of_parts(columns) -%}
    {%- for column in columns %}coalesce({{ adapter.quote(column) }}, ''){{ " || ' ' || " if not loop.last }}{% endfor -%}
{%- endmacro %}


{#- The names, in lower case, that each `phrase` of a relation may be: as it is, or last first, with `keep` and `phrase`. -#}
{% macro phrases_as_names(phrases, keep) -%}
    {%- set first = "split_part(phrase, ' ', 1)" -%}
    {%- set last = "split_part(phrase, ' ', -1)" -%}
    select
        {{ keep | join(', ') }},
        phrase,
        lower(
            case first_words
                when 0 then phrase
                when 1 then substr(phrase, length({{ first }}) + 2) || ' ' || {{ first }}
                else {{ last }} || ' ' || substr(phrase, 1, length(phrase) - length({{ last }}) - 1)
            end
        ) as person_name
    from {{ phrases }}
    -- As many words at its beginning are the last name: none, one, or all but one.
    cross join (select 0 as first_words union all select 1 union all select 2) as orders
{%- endmacro %}


{#-
    A text in which what may name somebody is written in one way: blanks, dashes, digits and signs of other keyboards as
    those of ASCII, what cannot be seen left out, and what links and web pages write for signs and letters read. Dear
    functions, and most texts need none of them.
-#}
{% macro plain_text(text) -%}
    {%- set others =
        '\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000'
        ~ '\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d'
        ~ '\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19'
        ~ '\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669'
        ~ '\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7\u06f8\u06f9'
        ~ '\uff20\ufe6b\uff0b\uff08\uff09\uff0c\uff0e\uff0f\uff1a\uff1b' -%}
    {%- set plain = ' ' * 15 ~ '-' * 10 ~ '0123456789' * 3 ~ '@@+(),./:;' -%}
    {%- set unseen = '\u00ad\u200b\u2060\ufeff' -%}
    {%- set classes = '&%\\x{A0}\\x{AD}\\x{660}-\\x{669}\\x{6F0}-\\x{6F9}\\x{2000}-\\x{200B}\\x{2010}-\\x{2015}\\x{202F}'
        ~ '\\x{205F}\\x{2060}\\x{2212}\\x{3000}\\x{FE58}\\x{FE63}\\x{FE6B}\\x{FEFF}\\x{FF08}-\\x{FF20}' -%}
    {#- The usual ones alone: each is a call within the call before, and readers of SQL go down only so far. -#}
    {%- set written = {
        '&amp;': '&', '%25': '%', '%40': '@', '&#64;': '@', '&#x40;': '@', '&commat;': '@', '%2B': '+', '%20': ' ',
        '&nbsp;': ' ', '&auml;': 'ä', '&ouml;': 'ö', '&uuml;': 'ü', '&eacute;': 'é',
    } -%}
    {%- set read = namespace(text=text) -%}
    {%- for form, sign in written.items() -%}
        {%- set read.text = 'replace(' ~ read.text ~ ", '" ~ form ~ "', '" ~ sign ~ "')" -%}
    {%- endfor -%}
    case
        when {{ matches(text, '[' ~ classes ~ ']') }} then translate({{ read.text }}, '{{ others ~ unseen }}', '{{ plain }}')
        else {{ text }}
    end
{%- endmacro %}


{#- What stands between the name and the domain of an e-mail address in plain text. -#}
{% macro at_sign() -%}(?:@|\s?[(\[{]\s?[Aa][Tt]\s?[)\]}]\s?){%- endmacro %}


{#-
    E-mail addresses and telephone numbers in plain text (plain_text), hidden. A run of digits alone may be an order: it is
    a number to call where it is written like one (+, 00, a trunk 0 or a code in brackets, in groups) or a word says so.
    Dates, orders and scores stay; tests/unit/test_privacy.py lists what must and what must not be hidden.
-#}
{% macro without_contact_details(text) -%}
    {%- set gap = '[ ./-]' -%}
    {%- set address = '[^\\s@"<>(),;:]+' ~ at_sign() ~ '[^\\s@"<>(),;:]*[\\pL\\pN]' -%}
    {%- set forms = [
        '[(]?[+][(]?[1-9][0-9]{0,3}[)]?' ~ gap ~ '?[(]?[0-9](?:(?:' ~ gap ~ '|[()]{1,2}' ~ gap ~ '?)?[0-9]){5,13}',
        '00' ~ gap ~ '?[1-9][0-9]{0,2}' ~ gap ~ '(?:[(]?[0-9][)]?' ~ gap ~ '?){6,12}',
        '(?:1' ~ gap ~ ')?[(][0-9]{2,5}[)]' ~ gap ~ '?[0-9]{3,5}' ~ gap ~ '?[0-9]{3,5}',
        '(?:1' ~ gap ~ ')?[2-9][0-9]{2}' ~ gap ~ '[0-9]{3}' ~ gap ~ '[0-9]{4}',
        '0[1-9][0-9]{1,4}' ~ gap ~ '[0-9]{3,4}' ~ gap ~ '?[0-9]{3,5}',
        '0[1-9]' ~ gap ~ '[0-9]{3,4}' ~ gap ~ '[0-9]{3,4}',
        '0[1-9](?:' ~ gap ~ '[0-9]{2}){4,5}',
        '0[1-9][0-9]{1,4} ?[/-]? ?[0-9]{2,3}(?: [0-9]{2}){2,4}',
    ] -%}
    {%- set called = [
        'call', 'phone', 'tel', 'telephone', 'mobile', 'cell', 'whatsapp', 'fax', 'dial', 'reach', 'telefon', 'handy',
        'mobil', 'anrufen', 'rufnummer', 'handynummer', 'telefonnummer', 'telefono', 'teléfono', 'téléphone', 'tél',
        'appelez', 'portable', 'móvil', 'celular', 'llamar', 'llame', 'llámame', 'cellulare', 'chiamate', 'chiamare',
        'chiamami', 'telefone', 'ligue', 'telemóvel', 'bel', 'bellen', 'mobiel', 'telefoon', 'zadzwoń', 'telefonu',
    ] -%}
    {#- Where words have other edges than those of ASCII, or none. -#}
    {%- set called_elsewhere = [
        'звоните', 'позвоните', 'перезвоните', 'телефон', 'телефону', 'тел', '电话', '電話', '手机', '手機', '致电', '微信',
        '携帯', '전화', '휴대폰', 'هاتف', 'جوال', 'اتصل',
    ] -%}
    {%- set between = [
        '[\\s.:=-]', 'me', 'us', 'back', 'on', 'at', 'under', 'number', 'no', 'nr', 'is', 'my', 'auf', 'unter', 'au', 'al',
        'nummer', 'numéro', 'número', 'numero', 'il', 'mio', 'ao', 'по', 'на', 'мне', 'номер', 'номеру', '号码', '號碼',
        '番号', '是', 'は', '번호',
    ] -%}
    {%- set groups = [
        '[0-9]{9,15}', '[0-9]{3,5}(?:' ~ gap ~ '[0-9]{3,5}){1,3}', '[0-9]{2}(?: [0-9]{2}){3,5}',
    ] -%}
    {%- set words = '(?:\\b(?:' ~ called | join('|') ~ ')|' ~ called_elsewhere | join('|') ~ ')' -%}
    {%- set written = '(^|[^[:alnum:]#_./+-])(?:' ~ forms | join('|') ~ ')\\b' -%}
    {%- set named = '((?i:' ~ words ~ '(?:' ~ between | join('|') ~ ')*))(?:' ~ groups | join('|') ~ ')\\b' -%}
    {%- set hidden = replace_matches(text, address, '***') -%}
    {%- set hidden = replace_matches(hidden, written, '\\1***') -%}
    case
        when {{ matches(text, at_sign() ~ '|[0-9](?:[^0-9]{0,4}[0-9]){6}') }}
            then {{ replace_matches(hidden, named, '\\1***') }}
        else {{ text }}
    end
{%- endmacro %}


{#- The text of a score as delivered, without what a cell that slipped into its column may name. -#}
{% macro shown_score_text(score_text) -%}
    case
        when {{ matches(plain_text(score_text), at_sign() ~ '|[0-9]{7}|\\pL,?\\s+\\pL') }} then '***'
        else {{ score_text }}
    end
{%- endmacro %}


{#- A raw row as it may be shown: what is declared of its table (`source.table`) and does not name or describe a person. -#}
{% macro shown_row(table) -%}
    {%- set raw_table = var('raw_tables').get(table, {'shown': [], 'scores': []}) -%}
    {%- set columns = {} -%}
    {%- for column in raw_table.shown -%}
        {%- set value = 'delivered.' ~ adapter.quote(column) -%}
        {%- do columns.update({column: shown_score_text(value) if column in raw_table.scores else value}) -%}
    {%- endfor -%}
    {{ json_object_text(columns) }}
{%- endmacro %}


{#- The raw rows of `entity`, answers or invitations, that the relation `rejected` names, as they may be shown. -#}
{% macro raw_rows(entity, rejected) -%}
    {%- for source_name, table_name in raw_tables(entity).items() %}
    select
        delivered._load_id as load_id,
        delivered._line as source_line,
        {{ shown_row(source_name ~ '.' ~ table_name) }} as raw_row
    from {{ source(source_name, table_name) }} as delivered
    inner join {{ rejected }} as rejected
        on delivered._load_id = rejected.load_id and delivered._line = rejected.source_line
    -- Of the many files of a large history, the few that hold one.
    where delivered._load_id in (select distinct load_id from {{ rejected }})
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        cast(null as {{ dbt.type_string() }}) as load_id,
        cast(null as bigint) as source_line,
        cast(null as {{ dbt.type_string() }}) as raw_row
    where 1 = 0
    {%- endfor %}
{%- endmacro %}


{% macro email_domain(email) -%}lower(split_part({{ email }}, '@', 2)){%- endmacro %}


{#- A query for the domains of our own staff, to be compared with email_domain(). -#}
{% macro staff_email_domains() -%}
    select lower(trim(domain)) as email_domain from {{ ref('staff_domains') }}
{%- endmacro %}
