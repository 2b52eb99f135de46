//! A whole cluster in one thread, with virtual time and seeded trouble: messages lost, doubled,
//! late and out of order, nodes killed between any two steps, paused and cut off, members coming
//! and going. Raft's safety properties (figure 3 of the paper) are checked all along, and what
//! the clients saw at the end.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod figure8;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use raft_kv::{Bug, Bugs};

    use crate::world::{Stats, World};

    /// How many seeds the correct protocol has to survive.
    const SEEDS: u64 = 40;
    /// Within how many seeds a bug has to show.
    const SEEDS_PER_BUG_MAX: u64 = 400;

    /// Which seeds to try, from where and how many: `RAFT_SIM_SEEDS=5000+1000` tries others.
    fn seeds(count: u64) -> (u64, u64) {
        let range = std::env::var("RAFT_SIM_SEEDS").unwrap_or_default();
        let parsed = range.split_once('+');
        let parsed = parsed.and_then(|(first, n)| Some((first.parse().ok()?, n.parse().ok()?)));
        parsed.unwrap_or((0, count))
    }

    /// Goal: the protocol without bugs is safe and recovers, whatever happens.
    /// Method: many seeds; and the trouble they were meant to meet must have occurred.
    #[test]
    fn without_bugs_every_seed_is_safe_and_recovers() {
        let (first, count) = seeds(SEEDS);
        let mut total = Stats::default();
        for seed in first..first + count {
            match World::new(seed, Bugs::default()).run() {
                Ok(stats) => total += stats,
                Err(violation) => panic!("seed {seed}: {violation}"),
            }
        }
        println!("{total:?}");
        let Stats {
            acknowledged,
            retried,
            leaders,
            crashes,
            pauses,
            cuts,
            installs,
            changes,
        } = total;
        assert!(acknowledged > 100 * count, "{total:?}");
        let trouble = [retried, leaders, crashes, pauses, cuts, installs, changes];
        assert!(
            trouble.into_iter().all(|times| times > count / 2),
            "{total:?}"
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = |seed| format!("{:?}", World::new(seed, Bugs::default()).run());
        assert_eq!(run(7), run(7));
    }

    fn check_shows(bug: Bug) {
        let bugs = Bugs::from_iter([bug]);
        let (first, count) = seeds(SEEDS_PER_BUG_MAX);
        let try_seed = |seed| Some((seed, World::new(seed, bugs).run().err()?));
        let found = (first..first + count).find_map(try_seed);
        let Some((seed, violation)) = found else {
            panic!("{bug} does not show within {count} seeds");
        };
        println!("{bug}: seed {seed}: {violation}");
    }

    macro_rules! shows {
        ($($name:ident: $bug:ident;)*) => { $(
            #[test]
            fn $name() {
                check_shows(Bug::$bug);
            }
        )* };
    }

    // Commit-old-term needs three elections in a row that each catch entries half replicated: it
    // has a test of its own, step by step as in figure 8 of the paper.
    shows! {
        stale_read_shows: StaleRead;
        follower_read_shows: FollowerRead;
        read_before_noop_shows: ReadBeforeNoop;
        forget_vote_shows: ForgetVote;
        forget_term_shows: ForgetTerm;
        vote_without_log_check_shows: VoteWithoutLogCheck;
        quorum_minus_one_shows: QuorumMinusOne;
        ack_before_commit_shows: AckBeforeCommit;
        apply_twice_on_retry_shows: ApplyTwiceOnRetry;
        truncate_always_shows: TruncateAlways;
        commit_past_match_shows: CommitPastMatch;
        skip_fsync_shows: SkipFsync;
        snapshot_forgets_sessions_shows: SnapshotForgetsSessions;
    }
}
