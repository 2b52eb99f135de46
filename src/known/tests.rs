use std::collections::BTreeSet;

use checkers::{Analysis, AnalysisContext, Cancel, Findings, Limits};
use histories::History;

use super::*;
use crate::criteria::Criteria;

#[test]
fn every_behaviour_is_a_run_of_a_system_that_comes_along() {
    let table = Table::builtin().unwrap_or_else(|error| panic!("{error}"));
    let names: BTreeSet<&str> = table.behaviours.iter().map(|one| &*one.name).collect();
    assert_eq!(names.len(), table.behaviours.len(), "each has its own name");
    for known in &table.behaviours {
        let name = &known.name;
        let (options, schedule) = (known.run_options(), table.schedule(known));
        assert_eq!(schedule.is_empty(), known.schedule.is_empty(), "{name}");
        let typed: Vec<&str> = options.split_whitespace().collect();
        let plan = plan::of_options(&typed, schedule, None, 1);
        let plan = plan.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(plan.system.name, known.system, "{name}");
        assert!(!known.install().is_empty() && known.runs > 0, "{name}");
        let criteria = Criteria::of_plan(&plan).unwrap();
        let mut checks: Vec<String> = criteria
            .analyses
            .iter()
            .map(|one| one.to_string())
            .collect();
        checks.extend(criteria.model.map(|_| "linearizability".to_owned()));
        let is_there = known.check.is_empty() || checks.contains(&known.check);
        assert!(is_there, "{name}: {} of {checks:?}", known.check);
        let counts = counts_of(&known.check);
        for named in known.some.iter().chain(&known.none) {
            assert!(counts.contains(named), "{name}: {named} of {counts:?}");
        }
        let is_without = known.expect == Expect::Without;
        assert_eq!(is_without, !known.none.is_empty(), "{name}");
    }
}

/// What a check counts, by its name.
fn counts_of(check: &str) -> Vec<String> {
    let Ok(analysis) = check.parse::<Analysis>() else {
        return Vec::new();
    };
    let context = AnalysisContext {
        initial: None,
        linearizable: None,
        settled_index: None,
        consistency: &[],
        limits: &Limits::default(),
        cancel: &Cancel::new(),
    };
    let nothing = History::default();
    let check = analysis.check(&nothing.operations(), &context);
    let findings = check.findings.unwrap_or_default();
    let names = findings.counts.iter().map(|(name, _)| (*name).to_owned());
    names.collect()
}

/// What the row's runs must show is told apart by its numbers, whatever the reason says.
#[test]
fn a_behaviour_is_judged_by_the_numbers_it_names() {
    let check = |counts: &[(&'static str, u64)], check: Check| {
        let counts = counts.to_vec();
        let findings = Findings {
            counts,
            ..Findings::default()
        };
        Check {
            findings: Some(findings),
            ..check
        }
    };
    let lost = check(&[("lost", 2), ("read", 5)], Check::invalid("set", "2 lost"));
    let vanished = check(
        &[("lost", 0), ("read", 5)],
        Check::invalid("set", "1 vanished"),
    );
    let fine = check(&[("lost", 0), ("read", 5)], Check::valid("set"));
    let unread = check(
        &[("lost", 0), ("read", 0)],
        Check::unknown("set", "no read"),
    );
    let table = Table::builtin().unwrap();
    let row = |expect, some: &[&str], none: &[&str]| Behaviour {
        expect,
        some: some.iter().map(|name| (*name).to_owned()).collect(),
        none: none.iter().map(|name| (*name).to_owned()).collect(),
        ..table.behaviours[0].clone()
    };
    use Status::{AsKnown, NotAsKnown, Undecided};
    for (known, expected) in [
        (
            row(Expect::Invalid, &["lost"], &[]),
            [AsKnown, NotAsKnown, NotAsKnown, Undecided],
        ),
        (
            row(Expect::Valid, &["read"], &[]),
            [NotAsKnown, NotAsKnown, AsKnown, Undecided],
        ),
        (
            row(Expect::Without, &["read"], &["lost"]),
            [NotAsKnown, AsKnown, AsKnown, Undecided],
        ),
        (
            row(Expect::Without, &["other"], &["lost"]),
            [NotAsKnown, NotAsKnown, NotAsKnown, Undecided],
        ),
    ] {
        let found = [&lost, &vanished, &fine, &unread]
            .map(|check| known.status_of(check.verdict, Some(check)));
        assert_eq!(found, expected, "{known:?}");
    }
}

#[test]
fn every_schedule_is_of_a_behaviour() {
    let table = Table::builtin().unwrap_or_else(|error| panic!("{error}"));
    for schedule in &table.schedules {
        let is_used = |known: &Behaviour| known.schedule == schedule.name;
        assert!(table.behaviours.iter().any(is_used), "{}", schedule.name);
    }
}

#[test]
fn the_command_ends_well_only_when_all_is_as_known() {
    use Status::{AsKnown, Failed, NotAsKnown, Stopped, Unavailable, Undecided};
    for (statuses, expected) in [
        (&[AsKnown, AsKnown][..], Exit::Valid),
        (&[AsKnown, Unavailable], Exit::Undecided),
        (&[AsKnown, Undecided], Exit::Undecided),
        (&[AsKnown, Stopped], Exit::Undecided),
        (&[Unavailable, Failed], Exit::NotRun),
        (&[Failed, NotAsKnown], Exit::Violation),
        (&[], Exit::NotRun),
    ] {
        assert_eq!(exit(statuses, statuses.len()), expected, "{statuses:?}");
    }
    assert_eq!(exit(&[AsKnown], 2), Exit::Undecided, "one was not begun");
}
