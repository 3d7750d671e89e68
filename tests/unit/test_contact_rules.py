"""The variables contact_rules and advocacy: every fault is refused with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.contact_rules import check_contact_rules
from orchestration.settings import ConfigError, Settings

GOOD = "days_between: {any: 3, relationship: 90}, account: {invitations: 60, days: 30}, forgotten_days: {}"


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        (
            f"contact_rules: {{{GOOD.replace('any', 'always')}}}",
            "contact_rules.days_between.always: Input should be 'any' or",
        ),
        (f"contact_rules: {{{GOOD.replace('90', '-1')}}}", "contact_rules.days_between.relationship"),
        (f"contact_rules: {{{GOOD.replace('60', '0')}}}", "contact_rules.account.invitations"),
        (f"contact_rules: {{{GOOD}, opt_outs: never}}", "contact_rules.opt_outs: unknown key"),
        (
            f"contact_rules: {{{GOOD.replace(', forgotten_days: {}', '')}}}",
            "contact_rules.forgotten_days: Field required",
        ),
        ("advocacy: {consent: {}, activity_types: [], answer_days: 0, days_between: 1}", "advocacy.answer_days"),
        ("advocacy: {consent: yes, activity_types: [], answer_days: 1, days_between: 1}", "advocacy.consent"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_key(variable: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text(f"contact_rules: {{{GOOD}}}\n" if variable.startswith("advocacy") else "")
    with (tmp_path / "vars.yml").open("a") as file:
        file.write(f"{variable}\n")
    with pytest.raises(ConfigError) as refused:
        check_contact_rules(Settings(tmp_path, tmp_path))
    assert f"vars.yml: {fault}" in str(refused.value)
