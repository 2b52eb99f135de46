use std::collections::BTreeSet;

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
