{#-
    The statistics, one macro a formula; the marts, the tests and the dashboard call these and no other.
    p, a, d = promoters, passives, detractors; n their sum. Scores are points, -100..100.
-#}

{#- Points as a decimal with four digits, rounded half up with floor, so that every engine agrees to the digit. -#}
{% macro points(number) -%}
    cast(floor(({{ number }}) * 10000e0 + 0.5e0) / 10000e0 as decimal(9, 4))
{%- endmacro %}


{#- A share 0..1 as a decimal with six digits; null where the denominator is 0. -#}
{% macro rate(numerator, denominator) -%}
    cast(
        floor(({{ numerator }}) * 1000000e0 / nullif({{ denominator }}, 0) + 0.5e0) / 1000000e0 as decimal(9, 6)
    )
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
    {%- set n = '(' ~ responses ~ ' + 3e0)' -%}
    {%- set theta = '((' ~ promoters ~ ' - ' ~ detractors ~ ') / ' ~ n ~ ')' -%}
    {%- set error = 'sqrt(((' ~ promoters ~ ' + ' ~ detractors ~ ' + 1.5e0) / ' ~ n ~ ' - ' ~ theta ~ ' * ' ~ theta ~ ') / ' ~ n ~ ')' -%}
    case
        when {{ responses }} > 0
            then 100e0 * greatest(-1e0, least(1e0, {{ theta }} {{ '-' if side < 0 else '+' }} {{ z }} * {{ error }}))
    end
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
    {%- set promoters, detractors, responses = cell ~ '.promoters', cell ~ '.detractors', cell ~ '.responses' %}
    {%- set enough = cell ~ '.responses >= ' ~ var('evidence_minimum').interval %}
        case when {{ enough }} then {{ points(nps(promoters, detractors, responses)) }} end as nps,
        case when {{ enough }} then {{ points(nps_bound(promoters, detractors, responses, z, -1)) }} end as ci_low,
        case when {{ enough }} then {{ points(nps_bound(promoters, detractors, responses, z, 1)) }} end as ci_high,
        {{ rate(cell ~ '.answered', cell ~ '.delivered') }} as response_rate,
        {{ evidence(cell ~ '.responses') }} as evidence
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
