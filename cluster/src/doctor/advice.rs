//! What to do about an ability that a machine lacks.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

/// What an ability is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Namespaces,
    Proc,
    Ptrace,
    Device(&'static str),
    Cgroup,
    SockDiag,
    Nft,
}

/// What is known of a machine that may explain a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether we are root, in name at least.
    pub is_root: bool,
    /// Whether we are in a container.
    pub is_contained: bool,
    /// kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu since 23.10).
    pub apparmor_restricts: bool,
    /// kernel.unprivileged_userns_clone is 0 (Debian before 11).
    pub clone_is_off: bool,
    /// The settings user.max_*_namespaces that are 0.
    pub exhausted: Vec<&'static str>,
    /// kernel.yama.ptrace_scope, where there is Yama.
    pub ptrace_scope: Option<i64>,
}

/// Which namespaces can be forbidden by a limit of 0.
const LIMITS: [&str; 6] = [
    "max_user_namespaces",
    "max_pid_namespaces",
    "max_mnt_namespaces",
    "max_net_namespaces",
    "max_ipc_namespaces",
    "max_uts_namespaces",
];

impl Facts {
    pub fn of_this_machine() -> Self {
        let number = |path: &str| -> Option<i64> {
            fs::read_to_string(format!("/proc/sys/{path}"))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        let is_zero = |limit: &&'static str| number(&format!("user/{limit}")) == Some(0);
        let restricts = number("kernel/apparmor_restrict_unprivileged_userns");
        Self {
            is_root: geteuid().is_root(),
            is_contained: ["/.dockerenv", "/run/.containerenv"]
                .iter()
                .any(|path| Path::new(path).exists()),
            apparmor_restricts: restricts.is_some_and(|value| value > 0),
            clone_is_off: number("kernel/unprivileged_userns_clone") == Some(0),
            exhausted: LIMITS.into_iter().filter(is_zero).collect(),
            ptrace_scope: number("kernel/yama/ptrace_scope"),
        }
    }
}

impl Topic {
    /// The exact fix, as far as the facts tell which it is.
    pub fn advice(self, facts: &Facts) -> String {
        match self {
            Topic::Namespaces => namespaces(facts),
            Topic::Proc if facts.is_contained => format!(
                "{}; a container also hides parts of /proc: `--security-opt \
                 systempaths=unconfined`",
                namespaces(facts)
            ),
            Topic::Proc => namespaces(facts),
            Topic::Ptrace => ptrace(facts),
            Topic::Device(path) => device(path, facts),
            Topic::SockDiag => format!(
                "a kernel with CONFIG_INET_DIAG_DESTROY=y (`sudo modprobe tcp_diag` where it is a \
                 module); {}",
                namespaces(facts)
            ),
            Topic::Nft => format!(
                "install nft (Debian, Ubuntu, Fedora: package nftables), on a kernel with \
                 CONFIG_NF_TABLES_BRIDGE; {}",
                namespaces(facts)
            ),
            Topic::Cgroup => "start inside a cgroup that is yours: `systemd-run --user --scope -p \
                              Delegate=yes whitewater …`, or run as root"
                .into(),
        }
    }
}

fn namespaces(facts: &Facts) -> String {
    let mut fixes: Vec<String> = Vec::new();
    for limit in &facts.exhausted {
        fixes.push(format!("`sudo sysctl -w user.{limit}=10000`"));
    }
    if facts.apparmor_restricts && !facts.is_root {
        let setting = "kernel.apparmor_restrict_unprivileged_userns";
        fixes.push(format!(
            "`sudo sysctl -w {setting}=0`, or an AppArmor profile with `userns,` for this program"
        ));
    }
    if facts.clone_is_off && !facts.is_root {
        fixes.push("`sudo sysctl -w kernel.unprivileged_userns_clone=1`".into());
    }
    if facts.is_contained {
        fixes.push(
            "start the container with `--cap-add SYS_ADMIN --cap-add NET_ADMIN`, or with \
             `--security-opt seccomp=unconfined` (on an Ubuntu host also `--security-opt \
             apparmor=unconfined`)"
                .into(),
        );
    }
    if fixes.is_empty() && facts.is_root {
        return "run with the capabilities SYS_ADMIN and NET_ADMIN, and without a seccomp filter \
                that forbids unshare(2)"
            .into();
    }
    if fixes.is_empty() {
        fixes.push("run as root, or without the filter that forbids unshare(2)".into());
    } else if !facts.is_root && !facts.is_contained {
        fixes.push("or run as root".into());
    }
    fixes.join("; ")
}

fn ptrace(facts: &Facts) -> String {
    match facts.ptrace_scope {
        Some(2) => "`sudo sysctl -w kernel.yama.ptrace_scope=1`, or run as root".into(),
        Some(3) => "boot with kernel.yama.ptrace_scope at 1 (3 cannot be lowered before)".into(),
        _ if facts.is_contained => "start the container with `--cap-add SYS_PTRACE`".into(),
        _ => "run as root, or without the filter that forbids ptrace(2)".into(),
    }
}

fn device(path: &str, facts: &Facts) -> String {
    let device = Path::new(path);
    let in_container = format!("start the container with `--device {path}`");
    let is_open = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open(device)
            .is_ok()
    };
    match (device.exists(), facts.is_contained) {
        (false, true) => in_container,
        (false, false) => {
            let module = path.rsplit('/').next().unwrap_or(path);
            format!("`sudo modprobe {module}`")
        }
        (true, _) if is_open() => "Linux 5.4 or later, and what the sandbox needs".into(),
        (true, is_contained) => {
            let or = if is_contained {
                &in_container
            } else {
                "run as root"
            };
            format!("`sudo chmod 666 {path}` (what udev does on most systems), or {or}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_the_setting_that_forbids() {
        let none = Facts::default();
        let rows = [
            (Topic::Namespaces, none.clone(), vec!["run as root"]),
            (
                Topic::Namespaces,
                Facts {
                    apparmor_restricts: true,
                    ..none.clone()
                },
                vec![
                    "kernel.apparmor_restrict_unprivileged_userns=0",
                    "or run as root",
                ],
            ),
            (
                Topic::Namespaces,
                Facts {
                    clone_is_off: true,
                    ..none.clone()
                },
                vec!["kernel.unprivileged_userns_clone=1"],
            ),
            (
                Topic::Namespaces,
                Facts {
                    exhausted: vec!["max_user_namespaces"],
                    ..none.clone()
                },
                vec!["user.max_user_namespaces=10000"],
            ),
            (
                Topic::Proc,
                Facts {
                    is_contained: true,
                    is_root: true,
                    ..none.clone()
                },
                vec![
                    "--cap-add SYS_ADMIN",
                    "seccomp=unconfined",
                    "systempaths=unconfined",
                ],
            ),
            (
                Topic::Namespaces,
                Facts {
                    is_root: true,
                    apparmor_restricts: true,
                    ..none.clone()
                },
                vec!["capabilities SYS_ADMIN and NET_ADMIN"],
            ),
            (
                Topic::Ptrace,
                Facts {
                    ptrace_scope: Some(2),
                    ..none.clone()
                },
                vec!["kernel.yama.ptrace_scope=1"],
            ),
            (
                Topic::Device("/dev/no-such-fuse"),
                Facts {
                    is_contained: true,
                    ..none.clone()
                },
                vec!["--device /dev/no-such-fuse"],
            ),
            (
                Topic::Device("/dev/no-such-fuse"),
                none.clone(),
                vec!["modprobe no-such-fuse"],
            ),
            (Topic::Device("/dev/null"), none.clone(), vec!["Linux 5.4"]),
            (
                Topic::SockDiag,
                none.clone(),
                vec!["CONFIG_INET_DIAG_DESTROY", "tcp_diag"],
            ),
            (Topic::Nft, none.clone(), vec!["package nftables"]),
            (Topic::Cgroup, none, vec!["Delegate=yes"]),
        ];
        for (topic, facts, expected) in rows {
            let advice = topic.advice(&facts);
            for part in expected {
                assert!(advice.contains(part), "{topic:?} {facts:?}: {advice}");
            }
        }
    }
}
