//! Empty and large, narrow and wide histories, limits, and turns.

use super::*;
use crate::limits::Exhausted;
use crate::registers::RegisterCall;
use crate::testing::problem;

/// A read is changed, so that most such histories have no order.
fn spoil(history: &mut RegisterHistory, chance: &mut Chance) {
    let reads: Vec<usize> = (0..history.calls.len())
        .filter(|&at| matches!(history.calls[at].access, Access::Read(_)))
        .collect();
    if let Some(&at) = chance.pick(&reads) {
        let value = chance.below(u64::from(history.values)) as u32;
        history.calls[at].access = Access::Read(value);
    }
}

/// The same calls for the engines that know nothing of registers.
fn intervals_of(history: &RegisterHistory) -> Vec<Interval<RegisterOp>> {
    let interval = |call: &RegisterCall| Interval {
        op: register_op(call.access),
        begins: u64::from(call.begins),
        ends: (call.returns != OPEN).then_some(u64::from(call.returns)),
    };
    history.calls.iter().map(interval).collect()
}

#[test]
fn middling_histories_agree_with_the_search() {
    let model = Register::with_cas(Value::Int(0), NilReads::Observe);
    let good = (0..150_u64)
        .into_par_iter()
        .filter(|&seed| {
            let chance = &mut chance(seed);
            let mut history = made(chance);
            if chance.chance(2, 3) {
                spoil(&mut history, chance);
            }
            let budget = budget();
            let problem = problem(&model, &intervals_of(&history), true);
            let (expected, _) = crate::search::decide(&problem, &budget.with_nodes(100_000));
            let ahead = decide(&history, &Options::exact(true), &budget).decision;
            let plain = shortest_bad_prefix(&history, &budget).decision;
            if !matches!(expected, Decision::Undecided { .. }) {
                assert_eq!(verdict(ahead), verdict(expected), "{seed}");
            }
            assert_eq!(verdict(plain), verdict(ahead), "{seed}");
            assert_eq!(streamed(&history, &budget), plain, "{seed}");
            let order = order(&history, &budget);
            assert_eq!(order.is_some(), verdict(ahead), "{seed}");
            if let Some(order) = order {
                assert_explains(&history, &order);
            }
            verdict(ahead)
        })
        .count();
    assert!((50..130).contains(&good), "{good}");
}

/// So many writes of a value each under way together, then reads of them one after another, and if
/// `again` one of the first value once more.
fn wide(width: u32, again: bool) -> RegisterHistory {
    let mut intervals: Accesses = (0..width)
        .map(|number| Interval {
            op: Access::Write(number + 1),
            begins: u64::from(number),
            ends: Some(u64::from(10 * width + number)),
        })
        .collect();
    let reads = (1..=width).chain(again.then_some(1));
    intervals.extend((0..).zip(reads).map(|(number, value)| {
        let begins = u64::from(2 * width + 2 * number);
        Interval {
            op: Access::Read(value),
            begins,
            ends: Some(begins + 1),
        }
    }));
    RegisterHistory::from_intervals(&intervals, width + 1).0
}

#[test]
fn as_many_calls_under_way_as_there_are() {
    for width in [1, 62, 63, 64, 65, 200, 255, 256, 300, 600] {
        let budget = budget();
        let good = wide(width, false);
        assert_eq!(run::width(&good) as u32, width + 1);
        for look_ahead in [true, false] {
            let outcome = decide(&good, &Options::exact(look_ahead), &budget);
            assert_eq!(outcome.decision, Decision::Linearizable, "{width}");
        }
        assert_eq!(streamed(&good, &budget), Decision::Linearizable);
        assert_explains(&good, &order(&good, &budget).unwrap());
        if width > 1 {
            let bad = wide(width, true);
            let last = bad.calls.last().unwrap().returns as usize;
            let expected = Decision::NotLinearizable { event: last };
            assert_eq!(shortest_bad_prefix(&bad, &budget).decision, expected);
            assert_eq!(streamed(&bad, &budget), expected);
            assert!(!verdict(
                decide(&bad, &Options::exact(true), &budget).decision
            ));
            assert_eq!(order(&bad, &budget), None);
        }
    }
}

#[test]
fn no_calls_one_call_and_open_ones_only() {
    let open = |op, begins| Interval {
        op,
        begins,
        ends: None,
    };
    assert!(agrees(&[], &[0]));
    let calls = [
        Access::Read(1),
        Access::Write(1),
        Access::Cas(1, 2),
        Access::Not(0),
    ];
    let mut all_open = Vec::new();
    for (begins, op) in (0..).zip(calls) {
        let closed = Interval {
            op,
            begins,
            ends: Some(begins + 10),
        };
        agrees(&[closed], &[0]);
        assert!(agrees(&[open(op, begins)], &[0]));
        all_open.push(open(op, begins));
    }
    assert!(agrees(&all_open, &[0]));
}

/// A beam too narrow to prove a violation is not believed, and goes on until it is.
#[test]
fn a_beam_widens_until_it_knows() {
    let load = simulate::Load {
        calls: 4_000,
        clients: 10,
        values: 4,
        cas_percent: 0,
        open_percent: 2,
    };
    let (mut good, mut truncated) = (0, 0);
    for seed in 0..6 {
        let chance = &mut chance(seed);
        let mut history = simulate::simulate(&load, chance);
        if seed % 2 == 0 {
            spoil(&mut history, chance);
        }
        let budget = budget();
        let expected = verdict(decide(&history, &Options::exact(true), &budget).decision);
        let narrow = Options {
            beam: Some(1),
            ..Options::exact(true)
        };
        match decide(&history, &narrow, &budget).decision {
            Decision::Undecided { .. } => truncated += 1,
            decided => assert_eq!(verdict(decided), expected),
        }
        let Progress::Done(decision) = widening(&history, &budget).advance(u64::MAX) else {
            panic!("undecided")
        };
        assert_eq!(verdict(decision), expected);
        match order(&history, &budget) {
            Some(order) => assert_explains(&history, &order),
            None => assert!(!expected),
        }
        good += u32::from(expected);
    }
    assert!(good >= 3 && truncated >= 1, "{good} {truncated}");
}

/// Turns of any length end in the same decision, and limits in none.
#[test]
fn work_can_be_done_in_turns() {
    let load = simulate::Load {
        calls: 2_000,
        clients: 8,
        values: 3,
        cas_percent: 20,
        open_percent: 1,
    };
    let history = simulate::simulate(&load, &mut chance(3));
    let budget = budget();
    let whole = decide(&history, &Options::exact(true), &budget);
    for turn in [50_000, 70_000] {
        let mut search = widening(&history, &budget);
        let mut turns = 1;
        let decision = loop {
            match search.advance(turn) {
                Progress::Done(decision) => break decision,
                Progress::Paused => turns += 1,
                Progress::GaveUp(limit) => panic!("{limit:?}"),
            }
            assert!(search.nodes() <= turns * (turn + 1) && search.position() > 0);
        };
        assert_eq!(verdict(decision), verdict(whole.decision));
    }
    let few = decide(&history, &Options::exact(true), &budget.with_nodes(100)).decision;
    assert!(matches!(
        few,
        Decision::Undecided {
            limit: Exhausted::Nodes,
            ..
        }
    ));
    let no_memory = Limits {
        memory_bytes: 1,
        ..Limits::default()
    };
    let starved = Budget::new(&no_memory, &Cancel::new());
    let outcome = decide(&history, &Options::exact(true), &starved).decision;
    assert!(matches!(
        outcome,
        Decision::Undecided {
            limit: Exhausted::Memory,
            ..
        }
    ));
    assert_eq!(order(&history, &starved), None);
}

/// Values that come and go leave no memory behind, nor do open calls that happened.
#[test]
fn a_stream_holds_what_is_under_way() {
    let load = simulate::Load {
        calls: 40_000,
        clients: 8,
        values: 0,
        cas_percent: 5,
        open_percent: 0,
    };
    let history = simulate::simulate(&load, &mut chance(9));
    let mut stream = Stream::new(&[0], &budget());
    let mut tickets = vec![None; history.calls.len()];
    let (mut early, mut late) = (0, 0);
    for (at, &moment) in history.moments.iter().enumerate() {
        let call = &history.calls[(moment >> 1) as usize];
        let ticket = &mut tickets[(moment >> 1) as usize];
        let access = match call.access {
            Access::Read(a) => Access::Read(u64::from(a)),
            Access::Write(a) => Access::Write(u64::from(a)),
            Access::Cas(a, b) => Access::Cas(u64::from(a), u64::from(b)),
            Access::Not(a) => Access::Not(u64::from(a)),
        };
        match moment & 1 == 0 {
            true => *ticket = Some(stream.begins(access, u64::from(call.returns))),
            false => assert!(stream.returns(ticket.unwrap()).unwrap()),
        }
        let bytes = stream.bytes();
        match at < history.moments.len() / 4 {
            true => early = bytes.max(early),
            false => late = bytes.max(late),
        }
        assert!(stream.configurations() < 1_000);
    }
    assert!(late <= 2 * early, "{early} {late}");
}

#[test]
fn a_stream_notices_a_broken_promise() {
    let mut stream = Stream::new(&[0], &budget());
    let late = stream.begins(Access::Write(1), 20);
    let early = stream.begins(Access::Read(0), 10);
    assert_eq!(stream.returns(late), Err(StreamError::OutOfOrder));
    assert_eq!(stream.returns(early), Ok(true));
    assert_eq!(stream.returns(late), Ok(true));
    let stale = stream.begins(Access::Read(0), 30);
    assert_eq!(stream.returns(stale), Ok(false));
    let after = stream.begins(Access::Read(1), 40);
    assert_eq!(stream.returns(after), Ok(false));
}
