{#-
    The statistics, one macro a formula; the marts, the tests and the dashboard call these and no other.
    p, a, d = promoters, passives, detractors; n their sum. Scores are points, -100..100.
-#}

{#-
    Points as a decimal with four digits, rounded half up with floor, so that every engine agrees to the digit; also where
    a sum over many comes out a hair below the half in one order and above it in another.
-#}
{% macro points(number) -%}
    cast(floor(({{ number }}) * 10000e0 + 0.500001e0) / 10000e0 as decimal(9, 4))
{%- endmacro %}


{#- A share 0..1 as a decimal with six digits; null where the denominator is 0. -#}
{% macro rate(numerator, denominator) -%}
    {{ six_digits('1e0 * (' ~ numerator ~ ') / nullif(' ~ denominator ~ ', 0)') }}
{%- endmacro %}


{#- NPS = 100 (p - d) / n from unrounded counts; null where n = 0, never 0. Reichheld 2003. -#}
{% macro nps(promoters, detractors, responses) -%}
    100e0 * ({{ promoters }} - {{ detractors }}) / nullif({{ responses }}, 0)
{%- endmacro %}


{#-
    One bound of the adjusted Wald interval of an NPS: 3/4, 3/2 and 3/4 pseudo-answers are added to
    detractors, passives and promoters, so that 10 promoters of 10 get an interval of positive width.
    Rocks (2016), "Interval estimation for the Net Promoter Score", The American Statistician 70(4).
    `side` is -1 or 1, `z` the quantile of the confidence level. Publish both bounds, never "+-": the centre is shrunk.
-#}
{% macro nps_bound(promoters, detractors, responses, z, side) -%}
    {%- set theta = shrunk_theta(promoters, detractors, responses) -%}
    {%- set error = 'sqrt(' ~ shrunk_variance(promoters, detractors, responses) ~ ')' -%}
    case
        when {{ responses }} > 0
            then 100e0 * greatest(-1e0, least(1e0, {{ theta }} {{ '-' if side < 0 else '+' }} {{ z }} * {{ error }}))
    end
{%- endmacro %}


{#- (p - d) / n with the pseudo-answers of the adjusted Wald interval, as a share -1..1. -#}
{% macro shrunk_theta(promoters, detractors, responses) -%}
    (({{ promoters }} - {{ detractors }}) / ({{ responses }} + 3e0))
{%- endmacro %}


{#- The variance of that share; of the mean, not of one answer. -#}
{% macro shrunk_variance(promoters, detractors, responses) -%}
    {%- set theta = shrunk_theta(promoters, detractors, responses) -%}
    ((({{ promoters }} + {{ detractors }} + 1.5e0) / ({{ responses }} + 3e0) - {{ theta }} * {{ theta }}) / ({{ responses }} + 3e0))
{%- endmacro %}


{#- How much a cell can carry; the bounds are the variable `evidence_minimum`. -#}
{% macro evidence(responses) -%}
    {%- set minimum = var('evidence_minimum') -%}
    case
        when {{ responses }} >= {{ minimum.reportable }} then 'reportable'
        when {{ responses }} >= {{ minimum.directional }} then 'directional'
        when {{ responses }} >= {{ minimum.interval }} then 'interval'
        else 'insufficient'
    end
{%- endmacro %}


{#-
    The columns every NPS mart has, from the counts of `cell`: the counts, the score with its interval (empty where
    the evidence is insufficient, so that nobody reads a score into three answers), response rate and evidence.
-#}
{% macro nps_measures(cell, z) -%}
    {%- for count in ['invited', 'delivered', 'answered', 'responses', 'promoters', 'passives', 'detractors'] %}
        cast({{ cell }}.{{ count }} as bigint) as {{ count }},
    {%- endfor %}
        {{ score_measures(cell, z) }},
        {{ rate(cell ~ '.answered', cell ~ '.delivered') }} as response_rate,
        {{ evidence(cell ~ '.responses') }} as evidence,
        {{ controllable_measures(cell) }}
{%- endmacro %}


{#- The score with its interval, from counts whose names begin with `prefix`, as the names of these columns do. -#}
{% macro score_measures(cell, z, prefix='') -%}
    {%- set counts = [] %}
    {%- for count in ['promoters', 'detractors', 'responses'] %}
        {%- do counts.append(cell ~ '.' ~ prefix ~ count) %}
    {%- endfor %}
    {%- set enough = counts[2] ~ ' >= ' ~ var('evidence_minimum').interval -%}
        case when {{ enough }} then {{ points(nps(counts[0], counts[1], counts[2])) }} end as {{ prefix }}nps,
        case when {{ enough }} then {{ points(nps_bound(counts[0], counts[1], counts[2], z, -1)) }} end
            as {{ prefix }}ci_low,
        case when {{ enough }} then {{ points(nps_bound(counts[0], counts[1], counts[2], z, 1)) }} end
            as {{ prefix }}ci_high
{%- endmacro %}


{#- The same counts and score without the answers that a steward marked as outside the control of the business. -#}
{% macro controllable_measures(cell) -%}
    {%- set counts = [] %}
    {%- for category in ['promoters', 'passives', 'detractors'] %}
        {%- do counts.append(cell ~ '.controllable_' ~ category) %}
    {%- endfor %}
    {%- set responses = '(' ~ counts | join(' + ') ~ ')' -%}
        cast({{ responses }} as bigint) as controllable_responses,
    {%- for count in counts %}
        cast({{ count }} as bigint) as {{ count.split('.')[1] }},
    {%- endfor %}
        case
            when {{ responses }} >= {{ var('evidence_minimum').interval }}
                then {{ points(nps(counts[0], counts[2], responses)) }}
        end as controllable_nps
{%- endmacro %}


{#- The quantile z of a two-sided interval of the variable `confidence_level`: 1.959964 for 0.95. -#}
{% macro confidence_z() -%}
    {{ normal_quantile('(1e0 + ' ~ var('confidence_level') ~ ') / 2e0') }}
{%- endmacro %}


{#- Standard normal quantile for 0 < p < 1. Wichura (1988), algorithm AS 241 (PPND16), Applied Statistics 37(3). -#}
{% macro normal_quantile(p) -%}
    {%- set central_numerator = '2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0' -%}
    {%- set central_denominator = '5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0e0' -%}
    {%- set tail_numerator = '7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0' -%}
    {%- set tail_denominator = '1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0e0' -%}
    {%- set far_numerator = '2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0' -%}
    {%- set far_denominator = '2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0e0' -%}
    {%- set q = '((' ~ p ~ ') - 0.5e0)' -%}
    {%- set central = '(0.180625e0 - ' ~ q ~ ' * ' ~ q ~ ')' -%}
    {%- set root = 'sqrt(-ln(0.5e0 - abs(' ~ q ~ ')))' -%}
    {%- set tail = '(' ~ root ~ ' - 1.6e0)' -%}
    {%- set far = '(' ~ root ~ ' - 5e0)' -%}
    case
        when abs({{ q }}) <= 0.425e0
            then {{ q }} * {{ polynomial(central_numerator, central) }} / {{ polynomial(central_denominator, central) }}
        when {{ root }} <= 5e0
            then sign({{ q }}) * {{ polynomial(tail_numerator, tail) }} / {{ polynomial(tail_denominator, tail) }}
        else sign({{ q }}) * {{ polynomial(far_numerator, far) }} / {{ polynomial(far_denominator, far) }}
    end
{%- endmacro %}


{#- Horner's scheme; coefficients from the highest power down. -#}
{% macro polynomial(coefficients, x) -%}
    {%- set parts = coefficients.split(', ') -%}
    {{- '(' * (parts | length - 1) }}{{ parts[0] }}
    {%- for part in parts[1:] %} * {{ x }} + {{ part }}){% endfor -%}
{%- endmacro %}


{#-
    P(Z > x) of the standard normal for x >= 0, absolute error below 1e-15.
    Hart (1968), algorithm 5666, as in West (2005), "Better approximations to cumulative normal functions", Wilmott.
-#}
{% macro normal_tail(x) -%}
    {%- set numerator = '3.52624965998911e-2, 7.00383064443688e-1, 6.37396220353165e0, 3.3912866078383e1, 1.12079291497871e2, 2.21213596169931e2, 2.20206867912376e2' -%}
    {%- set denominator = '8.83883476483184e-2, 1.75566716318264e0, 1.6064177579207e1, 8.67807322029461e1, 2.96564248779674e2, 6.37333633378831e2, 7.93826512519948e2, 4.40413735824752e2' -%}
    case
        when {{ x }} > 37e0 then 0e0
        when {{ x }} < 7.07106781186547e0
            then exp(-({{ x }} * {{ x }}) / 2e0) * {{ polynomial(numerator, x) }} / {{ polynomial(denominator, x) }}
        else exp(-({{ x }} * {{ x }}) / 2e0) / 2.506628274631e0
            / ({{ x }} + 1e0 / ({{ x }} + 2e0 / ({{ x }} + 3e0 / ({{ x }} + 4e0 / ({{ x }} + 0.65e0)))))
    end
{%- endmacro %}


{#-
    z of the difference of two independent scores, from the same shrunk estimates as their intervals:
    (theta1 - theta0) / sqrt(SE1^2 + SE0^2). Rocks (2016).
-#}
{% macro nps_difference_z(promoters, detractors, responses, promoters_0, detractors_0, responses_0) -%}
    ({{ shrunk_theta(promoters, detractors, responses) }} - {{ shrunk_theta(promoters_0, detractors_0, responses_0) }})
    / sqrt(
        {{ shrunk_variance(promoters, detractors, responses) }}
        + {{ shrunk_variance(promoters_0, detractors_0, responses_0) }}
    )
{%- endmacro %}


{#-
    The comparison with an earlier window of the same cell, as CTEs that end in `compared`: the columns of `cells` with
    previous_promoters, previous_detractors, previous_responses, p and q. `offset` is the distance in rows; windows
    must not overlap, and one that is not `complete` is compared with none after it. p is two-sided, and only where both windows have directional evidence; q is that of the cells of
    one `family`.
-#}
{% macro comparison_ctes(cells, cell_key, order_by, offset, family, complete=none) -%}
    with_previous as (
        select
            *,
            {%- for count in ['promoters', 'detractors', 'responses'] %}
            lag({{ 'case when ' ~ complete ~ ' then ' ~ count ~ ' end' if complete else count }}, {{ offset }}) over cell
                as previous_{{ count }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ cells }}
        window cell as (partition by {{ cell_key | join(', ') }} order by {{ order_by }})
    ),

    with_z as (
        select
            *,
            case
                when
                    responses >= {{ var('evidence_minimum').directional }}
                    and previous_responses >= {{ var('evidence_minimum').directional }}
                    then abs({{ nps_difference_z(
                        'promoters', 'detractors', 'responses',
                        'previous_promoters', 'previous_detractors', 'previous_responses'
                    ) }})
            end as z
        from with_previous
    ),

    with_p as (
        select
            *,
            2e0 * {{ normal_tail('z') }} as p
        from with_z
    ),

    {{ false_discovery_ctes('with_p', family, 'compared') }}
{%- endmacro %}


{#-
    CTEs that end in `name`: the columns of `cells`, one of which is p, and q over the cells of one `family` that have a
    p: Benjamini & Hochberg (1995), JRSS B 57(1). Where p is empty, so is q.
-#}
{% macro false_discovery_ctes(cells, family, name) -%}
    -- Most cells of a large family have too few answers for a p: they are not sorted.
    ranked as (
        select
            *,
            row_number() over (partition by {{ family | join(', ') }} order by p asc) as p_rank,
            count(*) over (partition by {{ family | join(', ') }}) as family_size
        from {{ cells }}
        where p is not null
    ),

    {{ name }} as (
        select
            *,
            min(p * family_size / p_rank) over (
                partition by {{ family | join(', ') }}
                order by p_rank desc
                rows between unbounded preceding and current row
            ) as q
        from ranked
        union all
        select
            *,
            null as p_rank,
            null as family_size,
            null as q
        from {{ cells }}
        where p is null
    )
{%- endmacro %}


{#- The columns a comparison adds to a mart, from a row of `compared`. -#}
{% macro comparison_measures(cell) -%}
    {%- set responses = cell ~ '.responses' %}
    {%- set responses_0 = cell ~ '.previous_responses' %}
    {%- set score = points(nps(cell ~ '.promoters', cell ~ '.detractors', responses)) %}
    {%- set score_0 = points(nps(cell ~ '.previous_promoters', cell ~ '.previous_detractors', responses_0)) %}
    {%- set enough_0 = responses_0 ~ ' >= ' ~ var('evidence_minimum').interval %}
    {%- set enough = responses ~ ' >= ' ~ var('evidence_minimum').interval ~ ' and ' ~ enough_0 %}
        case when {{ enough_0 }} then {{ score_0 }} end as previous_nps,
        cast(case when {{ enough }} then {{ score }} - {{ score_0 }} end as decimal(9, 4)) as nps_change,
        {{ significance_measures(cell) }}
{%- endmacro %}


{#- p, q and whether they speak of more than chance, from a row of false_discovery_ctes(); `measure` goes before names. -#}
{% macro significance_measures(cell, measure='') -%}
        {{ six_digits(cell ~ '.p') }} as {{ measure }}p_value,
        {{ six_digits(cell ~ '.q') }} as {{ measure }}q_value,
        coalesce({{ cell }}.q < {{ var('false_discovery_rate') }}, false) as is_{{ measure }}significant
{%- endmacro %}


{#-
    Difference of differences of four independent scores, as a share -2..2, and the variance of it: what the first group
    gained over what the second one did. Each of `cells` is a list of promoters, detractors and responses: of the
    first group after and before, of the second after and before. The variances add: Card & Krueger (1994), American
    Economic Review 84(4), for the design; Rocks (2016) for each score.
-#}
{% macro difference_of_differences(cells) -%}
    {%- set thetas = [] -%}
    {%- for cell in cells -%}
        {%- do thetas.append(shrunk_theta(*cell)) -%}
    {%- endfor -%}
    (({{ thetas[0] }} - {{ thetas[1] }}) - ({{ thetas[2] }} - {{ thetas[3] }}))
{%- endmacro %}


{% macro difference_of_differences_variance(cells) -%}
    {%- for cell in cells -%}
        {{ ' + ' if not loop.first }}{{ shrunk_variance(*cell) }}
    {%- endfor -%}
{%- endmacro %}


{#- A number as a decimal with six digits, rounded as points are. -#}
{% macro six_digits(number) -%}
    cast(floor(({{ number }}) * 1000000e0 + 0.500001e0) / 1000000e0 as decimal(18, 6))
{%- endmacro %}


{#-
    P(X > x) of the chi-square distribution for whole degrees of freedom, as CTEs that end in `chi_square_tails`
    (the columns `key`, p). `cells` has the columns `key`, chi_square and degrees_of_freedom. The closed sums of
    Abramowitz & Stegun (1964), 26.4.4 and 26.4.5, each term from its logarithm so that none overflows.
-#}
{% macro chi_square_tail_ctes(cells, key) -%}
    chi_square_steps as (
        select
            step,
            -- The logarithms of gamma(step) and of gamma(step + 1/2).
            sum(case when step > 1 then ln(step - 1e0) else 0e0 end) over (order by step) as ln_whole,
            0.5723649429247001e0 + sum(ln(step - 0.5e0)) over (order by step) as ln_half
        from ({{ number_spine(cells, 'coalesce(max(degrees_of_freedom), 0) / 2 + 1', 'step') }}) as steps
    ),

    chi_square_terms as (
        select
            {% for column in key %}cells.{{ column }},
            {% endfor -%}
            cells.chi_square,
            cells.degrees_of_freedom,
            sum(
                case
                    when cells.chi_square < 1e-100 then 0e0
                    when mod(cells.degrees_of_freedom, 2) = 0
                        then exp((steps.step - 1e0) * ln(cells.chi_square / 2e0) - cells.chi_square / 2e0 - steps.ln_whole)
                    else exp((steps.step - 0.5e0) * ln(cells.chi_square / 2e0) - cells.chi_square / 2e0 - steps.ln_half)
                end
            ) as term_sum
        from {{ cells }} as cells
        left join chi_square_steps as steps on steps.step <= floor(cells.degrees_of_freedom / 2e0)
        group by {% for column in key %}cells.{{ column }}, {% endfor %}cells.chi_square, cells.degrees_of_freedom
    ),

    chi_square_tails as (
        select
            {{ key | join(', ') }},
            case
                when degrees_of_freedom < 1 or chi_square is null then null
                when chi_square < 1e-100 then 1e0
                when mod(degrees_of_freedom, 2) = 0 then term_sum
                else coalesce(term_sum, 0e0) + 2e0 * {{ normal_tail('sqrt(chi_square)') }}
            end as p
        from chi_square_terms
    )
{%- endmacro %}


{#-
    AAPOR response rate 1 to 6 of named counts: complete, partial, refusal, non_contact, other, unknown_household,
    unknown_other, not_eligible. AAPOR (2023), Standard Definitions, 10th edition.
-#}
{% macro aapor_rate(number, counts) -%}
    {%- set c = counts -%}
    {%- set complete = c.complete if number in (1, 3, 5) else '(' ~ c.complete ~ ' + ' ~ c.partial ~ ')' -%}
    {%- set eligible = '(' ~ [c.complete, c.partial, c.refusal, c.non_contact, c.other] | join(' + ') ~ ')' -%}
    {%- set unknown = '(' ~ c.unknown_household ~ ' + ' ~ c.unknown_other ~ ')' -%}
    {%- if number in (1, 2) -%}
        {{ rate(complete, eligible ~ ' + ' ~ unknown) }}
    {%- elif number in (3, 4) -%}
        {#- Of the unknown, the share e is taken to be eligible that is so among those of whom it is known. -#}
        {%- set e = '1e0 * ' ~ eligible ~ ' / nullif(' ~ eligible ~ ' + ' ~ c.not_eligible ~ ', 0)' -%}
        {{ rate(complete, eligible ~ ' + ' ~ unknown ~ ' * ' ~ e) }}
    {%- else -%}
        {{ rate(complete, eligible) }}
    {%- endif -%}
{%- endmacro %}


{#-
    By how many points the score of one group is above that of another at least: the lower bound of their difference
    at the quantile z, from the same shrunk estimates as the intervals. Rocks (2016).
-#}
{% macro nps_lead(promoters, detractors, responses, promoters_0, detractors_0, responses_0, z) -%}
    100e0 * (
        {{ shrunk_theta(promoters, detractors, responses) }}
        - {{ shrunk_theta(promoters_0, detractors_0, responses_0) }}
        - {{ z }} * sqrt(
            {{ shrunk_variance(promoters, detractors, responses) }}
            + {{ shrunk_variance(promoters_0, detractors_0, responses_0) }}
        )
    )
{%- endmacro %}


{#-
    How far a distribution moved: the population stability index sum((p - q) ln(p / q)) of the counts `bins` against
    `bins_0` (column names), less what chance alone makes of it, and not below 0. Half an answer is added to each bin,
    so that an empty one has a logarithm. Siddiqi (2006), Credit Risk Scorecards: above 0.25 is a major shift. Where
    nothing moved it is chi-square with B - 1 degrees of freedom, times 1/n + 1/m: Yurdakul (2018), Statistical
    Properties of Population Stability Index, Western Michigan University.
-#}
{% macro stability_index(bins, bins_0) -%}
    {%- set n = '(' ~ bins | join(' + ') ~ ')' -%}
    {%- set m = '(' ~ bins_0 | join(' + ') ~ ')' -%}
    greatest(
        0e0,
        {%- for bin in bins %}
        {%- set bin_0 = bins_0[loop.index0] %}
        {%- set p = '((' ~ bin ~ ' + 0.5e0) / (' ~ n ~ ' + 0.5e0))' %}
        {%- set q = '((' ~ bin_0 ~ ' + 0.5e0) / (' ~ m ~ ' + 0.5e0))' %}
        {{ '+ ' if not loop.first }}case
            when {{ bin }} + {{ bin_0 }} > 0
                then ({{ p }} - {{ q }}) * ln({{ p }} / {{ q }}) - 1e0 / nullif({{ n }}, 0) - 1e0 / nullif({{ m }}, 0)
            else 0e0
        end
        {%- endfor %}
        + 1e0 / nullif({{ n }}, 0) + 1e0 / nullif({{ m }}, 0)
    )
{%- endmacro %}


{#-
    The standard error of a weighted mean over accounts, whose answers are not independent of each other, from sums over
    the accounts: n of them, w = sum of weights, ww = sum of w^2, wwt = sum of w^2 x, wwtt = sum of w^2 x^2, at the mean
    `mean` of x. sqrt(n / (n - 1) sum w^2 (x - mean)^2) / sum w: Cochran (1977), Sampling Techniques, 6.5. With the
    number of answers as the weight it is the cluster error of the score of all answers, with 1 that of a mean.
-#}
{% macro cluster_error(n, w, ww, wwt, wwtt, mean) -%}
    sqrt(
        greatest(0e0, {{ wwtt }} - 2e0 * {{ mean }} * {{ wwt }} + {{ mean }} * {{ mean }} * {{ ww }})
        * {{ n }} / nullif({{ n }} - 1e0, 0e0)
    ) / nullif({{ w }}, 0)
{%- endmacro %}


{#-
    One bound, in points, of a mean -1..1 with that error; null where it is 0: where nothing varies, nothing is known of
    how much it may. Less than the last digit of points is what rounding leaves of sums that should cancel.
-#}
{% macro mean_bound(mean, error, z, side) -%}
    case
        when {{ error }} > 1e-6
            then 100e0 * greatest(-1e0, least(1e0, {{ mean }} {{ '-' if side < 0 else '+' }} {{ z }} * {{ error }}))
    end
{%- endmacro %}


{#- One bound of the Wilson interval of a share of `trials`; null where there are none. Wilson (1927), JASA 22(158). -#}
{% macro wilson_bound(successes, trials, z, side) -%}
    case
        when {{ trials }} > 0
            then (
                {{ successes }} + {{ z }} * {{ z }} / 2e0
                {{ '-' if side < 0 else '+' }} {{ z }} * sqrt(
                    1e0 * {{ successes }} * ({{ trials }} - {{ successes }}) / {{ trials }} + {{ z }} * {{ z }} / 4e0
                )
            ) / ({{ trials }} + {{ z }} * {{ z }})
    end
{%- endmacro %}


{#-
    One bound of the interval of the difference of two independent shares, `share` - `share_0`, each a mapping of SQL:
    {rate, low, high} with the bounds of wilson_bound. Newcombe (1998), "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17, method 10.
-#}
{% macro newcombe_bound(share, share_0, side) -%}
    {%- set near, far = ('low', 'high') if side < 0 else ('high', 'low') -%}
    {{ share.rate }} - {{ share_0.rate }} {{ '-' if side < 0 else '+' }} sqrt(
        ({{ share.rate }} - {{ share[near] }}) * ({{ share.rate }} - {{ share[near] }})
        + ({{ share_0[far] }} - {{ share_0.rate }}) * ({{ share_0[far] }} - {{ share_0.rate }})
    )
{%- endmacro %}


{#-
    z of the difference of two independent shares, by the share of both together, as in the chi-square test of a table
    of two by two: Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, chapter 3. Empty where
    both are 0 or both are 1.
-#}
{% macro share_difference_z(part, whole, part_0, whole_0) -%}
    {%- set pooled = '(1e0 * (' ~ part ~ ' + ' ~ part_0 ~ ') / (' ~ whole ~ ' + ' ~ whole_0 ~ '))' -%}
    (1e0 * {{ part }} / {{ whole }} - 1e0 * {{ part_0 }} / {{ whole_0 }})
    / nullif(sqrt({{ pooled }} * (1e0 - {{ pooled }}) * (1e0 / {{ whole }} + 1e0 / {{ whole_0 }})), 0)
{%- endmacro %}


{#-
    By how many points some answers of a group move its score: NPS less the NPS without them, n_t (NPS_t - NPS) / (N - n_t).
    `part` and `rest` are lists of promoters, detractors and responses. Empty where there is no rest.
-#}
{% macro nps_impact(part, rest) -%}
    {{ nps('(' ~ part[0] ~ ' + ' ~ rest[0] ~ ')', '(' ~ part[1] ~ ' + ' ~ rest[1] ~ ')', part[2] ~ ' + ' ~ rest[2]) }}
    - {{ nps(*rest) }}
{%- endmacro %}


{#-
    The same as a share -1..1, and its variance, with the pseudo-answers of the adjusted Wald interval in the part and in
    the rest: w (theta_t - theta_r), where w is the share of the part. By the delta method, w being random as well:
    (theta_t - theta_r)^2 w (1 - w) / N + w^2 (SE_t^2 + SE_r^2). Casella & Berger (2002), Statistical Inference, 5.5.4.
-#}
{% macro shrunk_impact(part, rest) -%}
    ({{ shrunk_part(part, rest) }} * ({{ shrunk_theta(*part) }} - {{ shrunk_theta(*rest) }}))
{%- endmacro %}

{% macro shrunk_impact_variance(part, rest) -%}
    {%- set part_share = shrunk_part(part, rest) -%}
    (
        power({{ shrunk_theta(*part) }} - {{ shrunk_theta(*rest) }}, 2)
        * {{ part_share }} * (1e0 - {{ part_share }}) / ({{ part[2] }} + {{ rest[2] }} + 6e0)
        + {{ part_share }} * {{ part_share }} * ({{ shrunk_variance(*part) }} + {{ shrunk_variance(*rest) }})
    )
{%- endmacro %}

{% macro shrunk_part(part, rest) -%}(({{ part[2] }} + 3e0) / ({{ part[2] }} + {{ rest[2] }} + 6e0)){%- endmacro %}


{#-
    The control chart of a score: z of a month against the centre (a share -1..1) and the variance of one answer of a
    frozen baseline; how far such z move from month to month, by their mean moving range, and never less than chance
    makes them move; and a limit, in points, three of these away from the centre. Where nobody of the baseline differs,
    nothing is known of how much a score may, and there is no limit. Laney (2002), "Improved control charts for
    attributes", Quality Engineering 14(4); 1.128 is d2 of two, Montgomery (2019), appendix VI.
-#}
{% macro control_z(promoters, detractors, responses, center, variance) -%}
    (1e0 * ({{ promoters }} - {{ detractors }}) / {{ responses }} - {{ center }})
    / sqrt(nullif({{ variance }}, 0e0) / {{ responses }})
{%- endmacro %}

{% macro control_spread(mean_move) -%}greatest(1e0, coalesce({{ mean_move }}, 0e0) / 1.128e0){%- endmacro %}

{% macro control_limit(center, variance, sigma_z, responses, side) -%}
    case
        when {{ variance }} > 0
            then 100e0 * greatest(-1e0, least(1e0,
                {{ center }} {{ '-' if side < 0 else '+' }} 3e0 * {{ sigma_z }} * sqrt({{ variance }} / {{ responses }})
            ))
    end
{%- endmacro %}
