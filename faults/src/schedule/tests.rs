//! Schedules: held still by a golden one, bounded by properties, read and refused as a plan's.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Kill, Kind, Partition, Pause, Role, Shape};

fn nodes(count: usize) -> Vec<Name> {
    (1..=count).map(|i| format!("n{i}").into()).collect()
}

/// The kinds that have always been there, with partitions twice as often as the others.
const KINDS: [Kind; 3] = [Kind::Kill, Kind::Pause, Kind::Partition];

fn weights(kinds: &[Kind]) -> BTreeMap<Kind, u32> {
    let weight = |kind: &Kind| (*kind, 1 + u32::from(*kind == Kind::Partition));
    kinds.iter().map(weight).collect()
}

fn draw<'a>(
    seed: u64,
    kinds: &'a BTreeMap<Kind, u32>,
    nodes: &'a [Name],
    duration_ms: u64,
) -> Draw<'a> {
    Draw {
        seed,
        kinds,
        nodes,
        duration_ms,
        rhythm: Rhythm::default(),
    }
}

fn drawn(seed: u64, kinds: &[Kind], count: usize, duration_ms: u64) -> Schedule {
    let (kinds, nodes) = (weights(kinds), nodes(count));
    Schedule::draw(&draw(seed, &kinds, &nodes, duration_ms)).expect("possible here")
}

/// `at+for fault choice order`, a line each.
fn shorthand(schedule: &Schedule) -> String {
    let line = |planned: &Planned| {
        let order: String = planned
            .order
            .iter()
            .map(|node| node.trim_start_matches('n'))
            .collect();
        let Planned {
            id, at_ms, for_ms, ..
        } = planned;
        format!(
            "{id}: {at_ms}+{for_ms} {} {} {order}\n",
            planned.action.kind(),
            planned.action.fault().aim().choice().1
        )
    };
    schedule.faults.iter().map(line).collect()
}

#[test]
fn the_schedule_of_a_seed_never_changes() {
    assert_eq!(shorthand(&drawn(1, &KINDS, 5, 30_000)), GOLDEN);
}

const GOLDEN: &str = "\
1: 3500+204 kill one 14325
2: 6318+941 pause leader 34512
3: 10318+1267 partition bridge 34125
4: 10600+514 partition minority-third 32415
5: 11728+1401 pause minority 35421
6: 12985+1008 partition one 53124
7: 13589+271 kill minority 13452
8: 13900+1168 partition leader-alone 53142
9: 14489+983 partition majority-minority 53142
10: 15068+161 kill leader 42531
11: 19068+1343 pause one 15342
12: 19154+176 kill leader 32514
13: 20634+2811 partition halves 53142
14: 21226+1094 partition majorities-ring 41235
15: 22342+624 pause leader 34152
16: 26342+448 pause majority 45123
17: 27790+657 kill majority 45123
";

/// A plan file with one schedule entry of these lines; the error it gives, or what was read.
fn read(entry: &str) -> Result<Schedule, String> {
    #[derive(serde::Deserialize)]
    struct Plan {
        schedule: Schedule,
    }
    let text = format!("[[schedule]]\n{entry}");
    toml::from_str::<Plan>(&text)
        .map(|plan| plan.schedule)
        .map_err(|error| error.to_string())
}

#[test]
fn a_schedule_is_written_as_tables_and_read_back() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Plan {
        seed: u64,
        schedule: Schedule,
    }
    let plan = Plan {
        seed: 1,
        schedule: drawn(1, &KINDS, 5, 30_000),
    };
    let text = toml::to_string(&plan).expect("a plan can be written");
    assert_eq!(
        toml::from_str::<Plan>(&text).expect("what was written"),
        plan
    );
    assert!(text.contains("[[schedule]]\nid = 1\nat_ms = "), "{text}");

    let read = read(
        "id = 4\nat_ms = 10\nfor_ms = 5\nfault = \"pause\"\ntarget = \"minority\"\n\
         order = [\"n2\", \"n1\"]",
    );
    let expected = Planned {
        id: 4,
        at_ms: 10,
        after: Vec::new(),
        delay_ms: 0,
        for_ms: 5,
        until: Vec::new(),
        action: Action::Pause(Pause {
            target: Role::Minority,
        }),
        order: vec!["n2".into(), "n1".into()],
    };
    assert_eq!(
        read,
        Ok(Schedule {
            faults: vec![expected]
        })
    );
}

#[test]
fn a_mistyped_plan_is_refused_with_the_line_and_what_is_known() {
    let rest = "\nid = 4\nat_ms = 10\nfor_ms = 5\norder = [\"n1\"]";
    let check = |entry: &str, expected: &str| {
        let error = read(&format!("{entry}{rest}")).expect_err(entry);
        assert!(error.contains(expected), "{entry}: {error}");
    };
    check(
        "fault = \"kil\"\ntarget = \"one\"",
        "unknown variant `kil`, expected one of `kill`, `pause`, `partition`",
    );
    check(
        "fault = \"kill\"\ntarget = \"everyone\"",
        "unknown target \"everyone\" (hint: known: leader, follower, followers, minority, majority, one, all)",
    );
    check(
        "fault = \"partition\"\nshape = \"bride\"",
        "did you mean bridge? known: one, halves, ",
    );
    check(
        "fault = \"kill\"\nshape = \"bridge\"",
        "unknown field `shape`, expected `target`",
    );
    check(
        "fault = \"partition\"\ntarget = \"one\"",
        "unknown field `target`, expected ",
    );
    check(
        "fault = \"kill\"\ntarget = \"one\"\nuntil_ms = 3",
        "unknown field `until_ms`",
    );
    check("target = \"one\"", "missing field `fault`");
    check(
        "fault = \"kill\"\nat = \"10ms\"",
        "fault 4, a kill: `at_ms` and `at` say the same",
    );
    check("fault = \"kill\"\ndelay = \"10\"", "`delay` is \"10\": ");
    check(
        "fault = \"kill\"\nwhen = \"soon\"",
        "\"soon\" is nothing to wait for (hint: known:",
    );
    let refused = |entry: &str| read(entry).expect_err(entry);
    assert!(refused("fault = \"kill\"\nfor = \"1s\"").contains("a kill: when it begins"));
    assert!(refused("fault = \"kill\"\nat = \"1s\"").contains("a kill: how long it lasts"));
}

#[test]
fn a_schedule_written_by_hand_is_completed_from_the_seed() {
    let mut schedule = read(
        "at = \"3s\"\nfault = \"partition\"\nshape = \"leader-alone\"\nfor = \"5s\"\n[[schedule]]\n\
         when = \"leader elected\"\nafter = [\"1000 ok writes\", \"fault 1 healed\"]\ndelay = \"20ms\"\n\
         fault = \"kill\"\nfor = \"1500ms\"\nuntil = \"1 ok reads\"\norder = [\"n3\"]",
    )
    .expect("a schedule");
    schedule.complete(1, &nodes(5));
    let [cut, kill] = &schedule.faults[..] else {
        panic!("two faults: {schedule:?}");
    };
    assert_eq!((cut.id, cut.at_ms, cut.for_ms), (1, 3_000, 5_000));
    assert_eq!(
        (kill.id, kill.at_ms, kill.delay_ms, kill.for_ms),
        (2, 0, 20, 1_500)
    );
    let after = [
        Condition::Leaders(1),
        Condition::Writes(1_000),
        Condition::Healed(1),
    ];
    assert_eq!(kill.after, after);
    assert_eq!(kill.until, [Condition::Reads(1)]);
    let text = toml::to_string(&schedule.faults[1]).expect("a table");
    assert_eq!(toml::from_str(&text), Ok(schedule.faults[1].clone()));
    assert_eq!((&*kill.order[0], kill.order.len()), ("n3", 5));
    assert_eq!(schedule.validate(&nodes(5), 30_000), Ok(()));
    let again = schedule.clone();
    schedule.complete(2, &nodes(5));
    assert_eq!(
        schedule, again,
        "what is there is not changed by another seed"
    );
}

#[test]
fn every_name_is_read_as_it_is_written() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    for role in Role::ALL {
        assert_eq!(role.name().parse(), Ok(*role));
    }
    for shape in Shape::ALL {
        assert_eq!(shape.name().parse(), Ok(*shape));
    }
}

/// What validation says of a schedule of 3 nodes and 10 s after this edit of its second entry.
fn check_edit(edit: impl Fn(&mut Planned), expected: &str) {
    let action = Action::Kill(Kill { target: Role::One });
    let entry = |id| Planned {
        id,
        at_ms: id * 1_000,
        after: Vec::new(),
        delay_ms: 0,
        for_ms: 500,
        until: Vec::new(),
        action: action.clone(),
        order: nodes(3),
    };
    let mut schedule = Schedule {
        faults: vec![entry(1), entry(2)],
    };
    edit(&mut schedule.faults[1]);
    let found = schedule
        .validate(&nodes(3), 10_000)
        .map_err(|error| error.to_string());
    assert_eq!(found.err().unwrap_or_default(), expected);
}

#[test]
fn validation_names_the_entry_and_the_field() {
    let halves = Action::Partition(Partition {
        shape: Shape::Halves,
        ..Partition::default()
    });
    check_edit(|_| {}, "");
    check_edit(|p| p.action = halves.clone(), "");
    check_edit(|p| p.for_ms = 8_000, "");
    check_edit(
        |p| p.id = 1,
        "schedule[1].id: 1 is the id of an earlier fault too",
    );
    check_edit(
        |p| p.for_ms = 0,
        "schedule[1].for_ms: a fault must last at least 1 ms",
    );
    check_edit(
        |p| p.for_ms = 8_001,
        "schedule[1].for_ms: ends at 10001 ms, after the run's 10000 ms",
    );
    check_edit(
        |p| p.for_ms = u64::MAX,
        "schedule[1].for_ms: ends at 18446744073709551615 ms, after the run's 10000 ms",
    );
    check_edit(
        |p| p.at_ms = 10_000,
        "schedule[1].at_ms: begins after the run's 10000 ms",
    );
    check_edit(
        |p| p.order[0] = "n7".into(),
        "schedule[1].order: no node \"n7\" (known: n1, n2, n3)",
    );
    check_edit(
        |p| p.after = vec![Condition::Healed(2)],
        "schedule[1].after: a fault cannot wait for itself",
    );
    check_edit(
        |p| p.after = vec![Condition::Injected(1), Condition::Injected(7)],
        "schedule[1].after: there is no fault 7",
    );
    check_edit(
        |p| p.until = vec![Condition::Healed(2), Condition::Healed(1)],
        "schedule[1].until: a fault cannot wait for itself",
    );
    check_edit(
        |p| p.until = vec![Condition::Injected(7)],
        "schedule[1].until: there is no fault 7",
    );
    check_edit(
        |p| p.after = vec![Condition::Leads("n3".into()), Condition::Leads("n7".into())],
        "schedule[1].after: no node \"n7\" (known: n1, n2, n3)",
    );
    check_edit(
        |p| drop(p.order.pop()),
        "schedule[1].order: must name every node, and leaves out \"n3\"",
    );
    check_edit(
        |p| p.order.push("n1".into()),
        "schedule[1].order: names a node twice",
    );
    check_edit(
        |p| (p.id, p.for_ms) = (1, 0),
        "schedule[1].id: 1 is the id of an earlier fault too; \
         schedule[1].for_ms: a fault must last at least 1 ms",
    );
}

#[test]
fn validation_refuses_what_would_do_nothing() {
    let check = |count: usize, action: Action, expected: &str| {
        let planned = Planned {
            id: 1,
            at_ms: 0,
            after: Vec::new(),
            delay_ms: 0,
            for_ms: 1,
            until: Vec::new(),
            action,
            order: nodes(count),
        };
        let error = Schedule {
            faults: vec![planned],
        }
        .validate(&nodes(count), 10);
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err(expected.to_owned())
        );
    };
    let ring = Action::Partition(Partition {
        shape: Shape::MajoritiesRing,
        ..Partition::default()
    });
    let minority = Action::Kill(Kill {
        target: Role::Minority,
    });
    check(
        2,
        ring,
        "schedule[0].shape: majorities-ring acts on nothing with 2 nodes",
    );
    check(
        2,
        minority,
        "schedule[0].target: minority acts on nothing with 2 nodes",
    );
    check(
        1,
        Action::Pause(Pause {
            target: Role::Follower,
        }),
        "schedule[0].target: follower acts on nothing with 1 nodes",
    );
}

#[test]
fn one_node_cannot_be_partitioned_and_no_nodes_cannot_be_killed() {
    let impossible = |kind, count: usize| {
        let (kinds, nodes) = (weights(&[kind]), nodes(count));
        let error = Schedule::draw(&draw(1, &kinds, &nodes, 30_000));
        assert_eq!(error, Err(DrawError::Impossible { kind, nodes: count }));
    };
    impossible(Kind::Partition, 1);
    impossible(Kind::Kill, 0);
    assert!(
        !drawn(1, &[Kind::Kill, Kind::Pause], 1, 30_000)
            .faults
            .is_empty()
    );
    assert!(drawn(1, &[], 5, 30_000).faults.is_empty());
}

#[test]
fn a_rhythm_without_end_is_refused() {
    let (kinds, nodes) = (weights(&KINDS), nodes(3));
    let draw = |mean_interval_ms, duration_ms| {
        let rhythm = Rhythm {
            mean_interval_ms,
            mean_duration_ms: 1,
            ..Rhythm::default()
        };
        Schedule::draw(&Draw {
            rhythm,
            ..draw(1, &kinds, &nodes, duration_ms)
        })
    };
    assert_eq!(
        draw(1, u64::MAX),
        Err(DrawError::TooMany {
            duration_ms: u64::MAX
        })
    );
    assert!(draw(0, 30_000).is_ok());
    assert!(draw(u64::MAX, 30_000).is_ok_and(|schedule| schedule.faults.len() >= 3));
}

/// How long, of a schedule, fewer than a majority of the nodes run, in milliseconds.
fn majority_down_ms(schedule: &Schedule, count: usize) -> u64 {
    let mut lost_ms = 0;
    let mut down: Vec<(u64, BTreeSet<Name>)> = Vec::new();
    let mut last_ms = 0;
    let mut agenda = Agenda::new(schedule, Kind::ALL);
    let mut at_ms = 0;
    loop {
        let step = match agenda.next(at_ms, &crate::Observed::default()) {
            Next::At(next_ms) => {
                at_ms = next_ms;
                continue;
            }
            Next::Over => break,
            step => step,
        };
        let nodes: BTreeSet<&Name> = down.iter().flat_map(|(_, nodes)| nodes).collect();
        if count - nodes.len() < count / 2 + 1 {
            lost_ms += at_ms - last_ms;
        }
        last_ms = at_ms;
        match step {
            Next::Heal(planned) => down.retain(|(id, _)| *id != planned.id),
            Next::Inject(planned) => match planned.action {
                Action::Kill(Kill { target }) | Action::Pause(Pause { target }) => {
                    let hit = target.resolve(&planned.order, None).into_iter().collect();
                    down.push((planned.id, hit));
                }
                _ => {}
            },
            Next::Beat(_) => {}
            _ => unreachable!("nothing waits for anything"),
        }
    }
    lost_ms
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_drawn_schedule_is_valid_and_quiet_at_both_ends(
        seed: u64, count in 1..9_usize, duration_ms in 0..120_000_u64
    ) {
        let kinds = if count == 1 { &KINDS[..2] } else { &KINDS };
        let schedule = drawn(seed, kinds, count, duration_ms);
        prop_assert_eq!(schedule.validate(&nodes(count), duration_ms), Ok(()));
        prop_assert_eq!(&schedule, &drawn(seed, kinds, count, duration_ms));
        prop_assert!(schedule.faults.is_sorted_by_key(|planned| planned.at_ms));
        if duration_ms >= 5_000 {
            let drawn: BTreeSet<Kind> =
                schedule.faults.iter().map(|planned| planned.action.kind()).collect();
            prop_assert_eq!(drawn.len(), kinds.len());
        }
        let fifth = duration_ms / 5;
        for planned in &schedule.faults {
            prop_assert!(planned.at_ms >= fifth.min(1_500));
            prop_assert!(planned.at_ms + planned.for_ms <= duration_ms - fifth.min(1_000));
        }
    }

    #[test]
    fn a_majority_is_never_down_for_most_of_a_run(seed: u64, count in 3..8_usize) {
        let schedule = drawn(seed, &KINDS, count, 30_000);
        let lost_ms = majority_down_ms(&schedule, count);
        prop_assert!(lost_ms < 15_000, "{} of 30000 ms\n{}", lost_ms, shorthand(&schedule));
    }
}

#[test]
fn runs_of_half_a_minute_have_the_rhythm_and_the_variety_they_should() {
    const RUNS: u64 = 200;
    let (mut faults, mut shapes, mut leader, mut targeted, mut brief) = (0, 0, 0, 0, 0);
    for seed in 0..RUNS {
        let schedule = drawn(seed, &KINDS, 5, 30_000);
        faults += schedule.faults.len() as u64;
        let mut shapes_seen = BTreeSet::new();
        for planned in &schedule.faults {
            if let Action::Partition(Partition { shape, .. }) = planned.action {
                shapes_seen.insert(shape);
            }
            if let Action::Kill(Kill { target }) | Action::Pause(Pause { target }) = planned.action
            {
                targeted += 1;
                leader += u64::from(target == Role::Leader);
            }
            brief += u64::from(planned.for_ms < 300);
        }
        shapes += shapes_seen.len() as u64;
    }
    // Per run: a fault every two seconds or so, most of the nine shapes.
    assert!((10 * RUNS..18 * RUNS).contains(&faults), "{faults}");
    assert!(shapes * 2 > 9 * RUNS, "{shapes}");
    // The leader about half the time, and some restarts at once.
    assert!(
        (targeted * 2 / 5..targeted * 3 / 5).contains(&leader),
        "{leader} of {targeted}"
    );
    assert!(brief > RUNS, "{brief}");
}
