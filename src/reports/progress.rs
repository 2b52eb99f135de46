//! A run while it happens: a line that is kept up to date on a terminal, plain lines elsewhere.
//! Everything goes to standard error, so that standard output has the verdict alone.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::controller::notice::{Notice, OnlineProgress, Progress};
use crate::units::amount;

use super::terminal::harmless;

/// Where there is no terminal, every so many milliseconds a line says where the run stands.
const PLAIN_LINE_MS: u64 = 5_000;

/// Shows notices to a person.
#[derive(Debug)]
pub struct Display {
    bar: ProgressBar,
    duration_ms: u64,
    last_line_ms: Option<u64>,
}

impl Display {
    /// A display for a run of this length.
    pub fn new(duration_ms: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(duration_ms), ProgressDrawTarget::stderr());
        // A template without placeholders that do not exist is always accepted.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_message("starting the cluster");
        bar.enable_steady_tick(Duration::from_millis(100));
        Display {
            bar,
            duration_ms,
            last_line_ms: None,
        }
    }

    /// Shows one notice.
    pub fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Sandbox {
                namespaces,
                hosts,
                image,
                unavailable,
            } => {
                if let Some(image) = image {
                    self.line(&format!("containers of {image}, a node in each"));
                } else if *hosts > 0 {
                    self.line(&format!("{hosts} hosts by ssh, a node on each"));
                } else if !namespaces {
                    self.line("plain mode: nodes on loopback addresses, process faults only");
                }
                for fault in unavailable {
                    self.line(&format!(
                        "unavailable: {}: {} (hint: {})",
                        fault.kind, fault.cause, fault.remedy
                    ));
                }
            }
            Notice::Ready { after_ms } => {
                self.line(&format!("cluster ready after {}", seconds(*after_ms)));
            }
            Notice::Progress(progress) => self.progress(progress),
            Notice::Violation { text } => self.line(&format!("violation: {text}")),
            Notice::Online(online) => self.line(&checked(online)),
            Notice::Fault { at_ms, text } => {
                self.line(&format!("{:>8}  {text}", seconds(*at_ms)));
            }
            Notice::NodeExit { at_ms, text, .. } => {
                self.line(&format!("{:>8}  {text}", seconds(*at_ms)));
            }
            Notice::Phase { text } => {
                self.line(text);
                self.bar.set_message(text.clone());
            }
            Notice::Finished { stopped, events } => {
                let early = if *stopped { "stopped early; " } else { "" };
                self.line(&format!("{early}{events} events recorded"));
                self.bar.set_message("checking");
            }
            // The outcome says it, with everything else.
            Notice::Failed(_) => {}
        }
    }

    /// Takes the line away: what follows is the verdict.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn progress(&mut self, progress: &Progress) {
        let text = describe(progress, self.duration_ms);
        if self.bar.is_hidden() {
            let due = self
                .last_line_ms
                .is_none_or(|last| progress.at_ms >= last + PLAIN_LINE_MS);
            if due {
                self.last_line_ms = Some(progress.at_ms);
                say(text);
            }
        } else {
            self.bar.set_message(text);
        }
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            say(text);
        } else {
            self.bar.println(harmless(text));
        }
    }
}

/// Says a line on standard error. That nobody reads it any more, as after `2>&1 | head`, is no reason
/// to end a run.
pub fn say(line: impl fmt::Display) {
    let line = line.to_string();
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&line));
}

/// `12.5 of 30.0 s  15230 operations, 1210/s (ok 98.2 %, fail 0.3 %, info 1.5 %)  leader n3 …`
fn describe(progress: &Progress, duration_ms: u64) -> String {
    let count = progress.ok + progress.fail + progress.info;
    let share = |part: u64| match count {
        0 => 0.0,
        _ => 100.0 * part as f64 / count as f64,
    };
    let faults = if progress.faults.is_empty() {
        "no fault".to_owned()
    } else {
        progress.faults.join(" + ")
    };
    let online = progress
        .online
        .as_ref()
        .map_or_else(String::new, |online| format!("  {}", checked(online)));
    format!(
        "{:.1} of {}  {count} operations, {}/s (ok {:.1} %, fail {:.1} %, info {:.1} %)  leader {}  {faults}{online}",
        progress.at_ms as f64 / 1e3,
        seconds(duration_ms),
        progress.rate_per_s,
        share(progress.ok),
        share(progress.fail),
        share(progress.info),
        progress.leader.as_deref().unwrap_or("unknown"),
    )
}

/// `checked through t = 12.3 s ✓`
fn checked(online: &OnlineProgress) -> String {
    if let Some(why) = &online.ended {
        return format!("not checked while it runs: {why}");
    }
    let Some(through_ms) = online.through_ms else {
        return "nothing checked yet".to_owned();
    };
    let mark = match online.violations {
        0 => " ✓".to_owned(),
        count => format!(", {} in violation", amount(count, "key")),
    };
    let mut text = format!("checked through t = {}{mark}", seconds(through_ms));
    if online.undecided_keys > 0 {
        text.push_str(&format!(
            " but for {}",
            amount(online.undecided_keys, "key")
        ));
        if let Some(why) = &online.undecided_why {
            text.push_str(&format!(" ({why}; judged after the run)"));
        }
    }
    if online.is_behind {
        text.push_str(" (behind)");
    }
    text
}

fn seconds(time_ms: u64) -> String {
    format!("{:.1} s", time_ms as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_the_run_stands() {
        let progress = Progress {
            at_ms: 12_500,
            ok: 98,
            fail: 1,
            info: 1,
            rate_per_s: 1_210,
            leader: Some("n3 (term 4)".to_owned()),
            faults: vec!["pause".to_owned()],
            online: None,
        };
        assert_eq!(
            describe(&progress, 30_000),
            "12.5 of 30.0 s  100 operations, 1210/s (ok 98.0 %, fail 1.0 %, info 1.0 %)  \
             leader n3 (term 4)  pause"
        );
        let online = Progress {
            online: Some(OnlineProgress {
                through_ms: Some(12_340),
                ..OnlineProgress::default()
            }),
            ..progress
        };
        let online = describe(&online, 30_000);
        assert!(
            online.ends_with("pause  checked through t = 12.3 s ✓"),
            "{online}"
        );
        let nothing = describe(&Progress::default(), 1_000);
        assert!(nothing.contains("leader unknown  no fault"), "{nothing}");
    }
    #[test]
    fn how_far_the_check_came_says_what_is_left_out() {
        let online = |violations, undecided_keys, is_behind| OnlineProgress {
            through_ms: Some(900),
            is_behind,
            violations,
            undecided_keys,
            undecided_why: (undecided_keys > 0).then(|| "too much memory".to_owned()),
            ended: None,
        };
        for (online, expected) in [
            (OnlineProgress::default(), "nothing checked yet"),
            (online(0, 0, false), "checked through t = 0.9 s ✓"),
            (online(0, 0, true), "checked through t = 0.9 s ✓ (behind)"),
            (
                online(1, 0, false),
                "checked through t = 0.9 s, 1 key in violation",
            ),
            (
                online(0, 2, false),
                "checked through t = 0.9 s ✓ but for 2 keys (too much memory; judged after the run)",
            ),
            (
                OnlineProgress {
                    ended: Some("no file".to_owned()),
                    ..online(0, 0, true)
                },
                "not checked while it runs: no file",
            ),
        ] {
            assert_eq!(checked(&online), expected);
        }
    }
}
