//! The nodes and their network, as faults see them.

use std::time::Duration;

use faults::{
    Boots, Clocks, Disks, Limits, Membership, Name, Network, NetworkAbility, Rule, RuleCounts,
    Target, TargetError, Treatment, Unavailable,
};
use histories::Value;

use crate::Cluster;

impl Target for Cluster {
    fn nodes(&self) -> Vec<Name> {
        self.nodes.names().to_vec()
    }

    fn kill(&self, node: &str) -> Result<Value, TargetError> {
        let killed = self
            .nodes
            .with_program(node, true, |program| program.kill());
        Ok(killed.transpose()?.unwrap_or_else(nothing_gone))
    }

    fn terminate(&self, node: &str, grace_ms: u64) -> Result<Value, TargetError> {
        let grace = Duration::from_millis(grace_ms);
        let ended = self
            .nodes
            .with_program(node, true, |program| program.terminate(grace));
        Ok(ended.transpose()?.unwrap_or_else(nothing_gone))
    }

    fn start(&self, node: &str) -> Result<Value, TargetError> {
        self.nodes
            .start(node)
            .map_err(|error| TargetError(error.to_string()))?;
        Ok(Value::Nil)
    }

    fn pause(&self, node: &str) -> Result<Value, TargetError> {
        let paused = self
            .nodes
            .with_program(node, false, |program| program.pause());
        paused.unwrap_or(Ok(Value::Nil)).map_err(Into::into)
    }

    fn resume(&self, node: &str) -> Result<Value, TargetError> {
        let resumed = self
            .nodes
            .with_program(node, false, |program| program.resume());
        resumed.unwrap_or(Ok(Value::Nil)).map_err(Into::into)
    }

    fn network(&self) -> Result<&dyn Network, Unavailable> {
        Ok(self)
    }

    fn clocks(&self) -> Result<&dyn Clocks, Unavailable> {
        Err(unavailable("clocks"))
    }

    fn disks(&self) -> Result<&dyn Disks, Unavailable> {
        Err(unavailable("disks"))
    }

    fn boots(&self) -> Result<&dyn Boots, Unavailable> {
        Err(unavailable("machines"))
    }

    fn membership(&self) -> Result<&dyn Membership, Unavailable> {
        Err(unavailable("members"))
    }

    fn limits(&self) -> Result<&dyn Limits, Unavailable> {
        Err(unavailable("limits"))
    }
}

impl Network for Cluster {
    fn can(&self, ability: NetworkAbility) -> Result<(), Unavailable> {
        match ability {
            NetworkAbility::Cut | NetworkAbility::TreatPackets => Ok(()),
            NetworkAbility::ResetConnections => Err(unavailable("connections")),
        }
    }

    fn set_rules(&self, rules: &[Rule]) -> Result<(), TargetError> {
        let of_packets = |rule: &&Rule| {
            matches!(
                rule.treatment,
                Treatment::Refuse { .. } | Treatment::Corrupt { .. } | Treatment::Limit { .. }
            ) || !rule.ports.is_empty()
        };
        if let Some(rule) = rules.iter().find(of_packets) {
            return Err(TargetError(format!(
                "fault {} is about packets, and there are only messages",
                rule.fault
            )));
        }
        self.net.set_rules(rules);
        Ok(())
    }

    fn counts(&self, fault: u64) -> RuleCounts {
        self.net.counts(fault)
    }

    fn reset_connections(&self, _: &str, _: &[Name], _: &[u16]) -> Result<Value, TargetError> {
        Err(TargetError(unavailable("connections").to_string()))
    }
}

fn nothing_gone() -> Value {
    Value::Map(vec![("gone".into(), Value::List(Vec::new()))])
}

fn unavailable(what: &str) -> Unavailable {
    Unavailable {
        cause: format!("nodes that speak by messages have no {what} to change"),
        remedy: "leave the fault out".to_owned(),
    }
}
