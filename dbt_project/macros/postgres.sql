{#-
    What an engine lacks and can be given, at the start of an invocation: of PostgreSQL names of types, casts that fail
    quietly and the median.
-#}
{% macro create_functions() -%}
    {%- if execute and flags.WHICH in ('run', 'build', 'test') -%}
        {{ adapter.dispatch('create_functions', 'nps')() }}
    {%- endif -%}
{%- endmacro %}

{% macro default__create_functions() -%}{%- endmacro %}

{#- The types are those that contracts and seeds name, where no macro can be called. -#}
{% macro postgres__create_functions() -%}
    do $$
    begin
        if to_regtype('public.string') is null then
            create domain public.string as text;
            create domain public.double as double precision;
        end if;
    end
    $$;

    create or replace function public.try_cast(value text, inout result anyelement) language plpgsql stable as $$
    begin
        result := value;
    exception when data_exception then
        result := null;
    end
    $$;

    create or replace function public.try_to_timestamp(value text, template text) returns timestamp
    language plpgsql stable as $$
    begin
        return to_timestamp(value, template);
    exception when data_exception then
        return null;
    end
    $$;

    create or replace function public.middle_of(numbers numeric[]) returns double precision language sql immutable as $$
        select percentile_cont(0.5) within group (order by number) from unnest(numbers) as numbers (number)
    $$;

    create or replace aggregate public.median(numeric) (
        sfunc = array_append, stype = numeric[], finalfunc = public.middle_of
    );
{%- endmacro %}
