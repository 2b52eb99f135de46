//! A campaign for a CI server: JUnit XML, one test case a run.

use std::time::Duration;

use checkers::Verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::campaign::RunSummary;
use crate::known;
use crate::zoo::{Row, Status};

/// The XML. A violation is a failure; a run that could not be made or came to no decision is an
/// error, for it has shown nothing.
pub fn render(runs: &[RunSummary]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("whitewater");
    for run in runs {
        let mut status = match (run.verdict, &run.failure) {
            (Verdict::Valid, None) => TestCaseStatus::success(),
            (Verdict::Invalid, _) => TestCaseStatus::non_success(NonSuccessKind::Failure),
            _ => TestCaseStatus::non_success(NonSuccessKind::Error),
        };
        status.set_message(run.message());
        status.set_type(run.verdict.as_str());
        if let Some(text) = &run.text {
            status.set_description(text);
        }
        let mut case = TestCase::new(format!("seed {}", run.seed), status);
        case.set_classname(format!("{}.{}", run.system, run.workload));
        case.set_time(Duration::from_millis(run.elapsed_ms));
        suite.add_test_case(case);
    }
    let mut report = Report::new("whitewater campaign");
    report.add_test_suite(suite);
    report.to_string()
}

/// The bug zoo: one test case a bug. One that was missed is a failure; one that could not be
/// looked for is skipped, with the reason.
pub fn render_zoo(rows: &[Row]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("whitewater");
    for row in rows {
        let mut status = match row.status {
            Status::Found | Status::NotBlamed => TestCaseStatus::success(),
            Status::Missed | Status::Blamed => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Error),
            Status::Unavailable | Status::Stopped => TestCaseStatus::skipped(),
        };
        status.set_message(
            row.reason
                .clone()
                .unwrap_or_else(|| row.status.name().to_owned()),
        );
        if let Some(text) = &row.text {
            status.set_description(text);
        }
        let mut case = TestCase::new(row.bug, status);
        case.set_classname("raft-kv.zoo");
        case.set_time(Duration::from_millis(row.elapsed_ms));
        suite.add_test_case(case);
    }
    let mut report = Report::new("whitewater zoo");
    report.add_test_suite(suite);
    report.to_string()
}
/// What is known of real systems: one test case a behaviour. One that is not as known is a failure;
/// one that could not be looked for is skipped, with the reason.
pub fn render_known(rows: &[known::Row]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("whitewater");
    for row in rows {
        let mut status = match row.status {
            known::Status::AsKnown => TestCaseStatus::success(),
            known::Status::NotAsKnown => TestCaseStatus::non_success(NonSuccessKind::Failure),
            known::Status::Undecided | known::Status::Failed => {
                TestCaseStatus::non_success(NonSuccessKind::Error)
            }
            known::Status::Unavailable | known::Status::Stopped => TestCaseStatus::skipped(),
        };
        status.set_message(format!("{}: {}", row.status.name(), row.reason));
        if let Some(text) = &row.text {
            status.set_description(text);
        }
        let mut case = TestCase::new(row.known.name.as_str(), status);
        case.set_classname(format!("{}.known", row.known.system));
        case.set_time(Duration::from_millis(row.elapsed_ms));
        suite.add_test_case(case);
    }
    let mut report = Report::new("whitewater known");
    report.add_test_suite(suite);
    report.to_string()
}
