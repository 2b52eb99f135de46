//! Reports: the same verdict for a terminal, for a program, for a CI server, for a browser. Each
//! is a pure function of what is in the run folder.

pub mod context;
pub mod html;
pub mod json;
pub mod junit;
pub mod messages;
pub mod progress;
pub mod terminal;
pub mod text;

use crate::Outcome;

/// Writes `verdict.json` and `report.html` into the run folder; returns what could not be written.
pub fn write(outcome: &Outcome) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut write = |name: &str, text: String| {
        if let Err(error) = outcome.folder.write(name, text.as_bytes()) {
            complaints.push(error.to_string());
        }
    };
    write(
        "verdict.json",
        json::to_text(&json::Document::of_run(outcome)),
    );
    if let Some((history, judged)) = &outcome.judged {
        let page = html::render(&html::Input {
            plan: &outcome.plan,
            history,
            report: &judged.report,
            folder: &outcome.name(),
            replay_command: &outcome.replay_command(),
            checked_in_ms: Some(judged.elapsed_ms),
            unavailable: &outcome.unavailable,
        });
        write("report.html", page);
    }
    complaints
}

impl Outcome {
    /// The run folder's own name.
    pub fn name(&self) -> String {
        let name = self.folder.path().file_name();
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The command that runs the same plan again, from the folder the run was started in.
    pub fn replay_command(&self) -> String {
        format!("whitewater replay {}", self.shown_path())
    }

    /// The verdict as text; `None` where nothing was judged.
    pub fn text(&self) -> Option<String> {
        let (history, judged) = self.judged.as_ref()?;
        let run = self.shown_path();
        let context = text::Context {
            report: self
                .folder
                .report_path()
                .exists()
                .then(|| format!("{run}/report.html")),
            run: Some(run),
            again: Some(self.replay_command()),
            stopped: self.stopped,
            at_violation: self.online.stopped,
            failure: self.why_not_made(),
            unavailable: &self.unavailable,
        };
        Some(text::render(judged, history, &context))
    }

    /// The run folder as people see it: relative to the working directory where it is below.
    pub fn shown_path(&self) -> String {
        let path = self.folder.path();
        let here = std::env::current_dir().ok();
        let relative = here
            .as_deref()
            .and_then(|here| path.strip_prefix(here).ok());
        relative.unwrap_or(path).display().to_string()
    }
}
