//! What a history is held against: a consistency model, checks of their own, or both.

use checkers::{Analysis, Consistency, ModelKind, ModelOptions};
use histories::Value;

use crate::plan::Plan;
use crate::plan::of_maelstrom::SYSTEM;

/// What a history is held against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria {
    /// The consistency model, where there is one: then the history must be linearizable.
    pub model: Option<ModelOptions>,
    /// Checks of their own.
    pub analyses: Vec<Analysis>,
    /// The value at the start, for those of the checks that need one.
    pub initial: Option<Value>,
    /// What transactions must be; what the history says where there is none.
    pub consistency: Vec<Consistency>,
}

impl Criteria {
    /// Only this model.
    pub fn of_model(model: ModelOptions) -> Self {
        Criteria {
            initial: model.initial.clone(),
            model: Some(model),
            ..Criteria::default()
        }
    }

    /// Whether any of its checks is about transactions.
    pub fn has_transactions(&self) -> bool {
        let of_transactions = [Analysis::ListAppend, Analysis::RwRegister];
        self.analyses
            .iter()
            .any(|one| of_transactions.contains(one))
    }

    /// What judges a workload, by the model of this name; none where the name is empty. A workload
    /// that is not known here has no checks of its own.
    ///
    /// # Errors
    /// In words: no model has this name.
    pub fn of_workload(workload: &str, model: &str) -> Result<Self, String> {
        let workload = workloads::by_name(workload).ok();
        let initial = workload.and_then(|workload| workload.initial());
        let model = match model {
            "" => None,
            name => {
                let kind: ModelKind = name.parse().map_err(|error| format!("{error}"))?;
                // What a workload starts with is in the form of its own model.
                let is_own = workload.is_some_and(|workload| workload.model() == Some(name));
                Some(ModelOptions {
                    initial: initial.clone().filter(|_| is_own),
                    ..ModelOptions::new(kind)
                })
            }
        };
        let names = workload.map_or(&[][..], |workload| workload.checks());
        let analyses = names.iter().map(|name| name.parse());
        let analyses: Result<Vec<Analysis>, _> = analyses.collect();
        Ok(Criteria {
            model,
            analyses: analyses.map_err(|error| error.to_string())?,
            initial,
            ..Criteria::default()
        })
    }

    /// What judges a run of this system. The workloads of Maelstrom's protocol have checks of
    /// their own, although some have the names of others.
    ///
    /// # Errors
    /// As [`Criteria::of_workload`].
    pub fn of_run(system: &str, workload: &str, model: &str) -> Result<Self, String> {
        if system != SYSTEM {
            return Criteria::of_workload(workload, model);
        }
        let workload = maelstrom::workloads::by_name(workload);
        let names = workload.map_or(&[][..], |workload| workload.checks());
        let analyses: Result<Vec<Analysis>, _> = names.iter().map(|name| name.parse()).collect();
        let kind: Option<ModelKind> = match model {
            "" => None,
            name => Some(name.parse().map_err(|error| format!("{error}"))?),
        };
        Ok(Criteria {
            model: kind.map(ModelOptions::new),
            analyses: analyses.map_err(|error| error.to_string())?,
            ..Criteria::default()
        })
    }

    /// What judges a plan's history.
    ///
    /// # Errors
    /// In words: no model has the name that the plan says.
    pub fn of_plan(plan: &Plan) -> Result<Self, String> {
        Criteria::of_run(&plan.system.name, &plan.workload.name, &plan.check.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_something_that_judges_it() {
        for workload in workloads::ALL {
            let model = workload.model().unwrap_or_default();
            let criteria = Criteria::of_workload(workload.name(), model).expect("names are known");
            assert_eq!(criteria.model.is_some(), workload.model().is_some());
            assert_eq!(criteria.analyses.len(), workload.checks().len());
            let any = criteria.model.is_some() || !criteria.analyses.is_empty();
            assert!(any, "{}", workload.name());
        }
        let unknown = Criteria::of_workload("register", "regster").expect_err("no model");
        assert!(unknown.contains("no model is named"), "{unknown}");
        for workload in maelstrom::workloads::ALL {
            let model = workload.model().unwrap_or_default();
            let criteria = Criteria::of_run(SYSTEM, workload.name(), model).expect("known");
            assert!(criteria.model.is_some() || !criteria.analyses.is_empty());
        }
        let foreign = Criteria::of_workload("somebody's", "").expect("nothing is wrong");
        assert_eq!(foreign, Criteria::default());
    }
}
